// SPDX-License-Identifier: Apache-2.0
// Objects, the most probable first, or joints in their order, where they are in the frame.
#include "answer.h"
#include "found_objects.h"
#include "grid_task.h"
#include "text_output.h"

namespace micronet {
namespace {

FoundObjects found;

}  // namespace

void WriteTask() { WriteGridTask(kTaskOfObjects); }

void WriteAnswer(const Recognition &recognition) {
  found = FindObjects(recognition);
  WriteText("task=");
  WriteText(kTaskOfObjects);
  WriteTextWithNumbers(" objects=#", {found.count});
}

void WriteAnswerDetails(const Recognition &) {
  WriteText(" list=");
  for (int32_t i = 0; i < found.count; ++i) {
    const micronet_object &each = found.objects[i];
    if (i > 0) WriteText(";");
    WriteTextWithNumbers("#,#,#,#,#,#",
                         {each.class_index, each.x, each.y, each.width, each.height, each.score});
  }
  WriteLineChecksum();
}

}  // namespace micronet

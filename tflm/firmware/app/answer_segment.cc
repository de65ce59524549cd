// SPDX-License-Identifier: Apache-2.0
// The class of each cell, and how many cells each class has.
#include "answer.h"
#include "class_map.h"
#include "grid_task.h"
#include "text_output.h"

namespace micronet {
namespace {

constexpr char kTask[] = "segment";
ClassMap map;

}  // namespace

void WriteTask() { WriteGridTask(kTask); }

void WriteAnswer(const Recognition &recognition) {
  map = MapClasses(recognition);
  WriteText("task=");
  WriteText(kTask);
  const micronet_view view = ViewOf(recognition);
  WriteTextWithNumbers(" left=# top=# width=# height=#",
                       {view.left, view.top, view.part_width, view.part_height});
}

void WriteAnswerDetails(const Recognition &) {
  WriteTextWithNumbers(" cells=#", {map.counts[0]});
  for (int32_t i = 1; i < kGridAnswers; ++i) WriteTextWithNumbers(",#", {map.counts[i]});
  WriteText(" map=");
  for (int32_t i = 0; i < kGridCells; ++i) WriteHexadecimalByte(map.classes[i]);
  WriteLineChecksum();
}

}  // namespace micronet

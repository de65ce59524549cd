// SPDX-License-Identifier: Apache-2.0
#include "grid_task.h"

#include "model_recognition.h"
#include "model_settings.h"
#include "text_output.h"

namespace micronet {

void WriteGridTask(const char *task) {
  WriteText(" task=");
  WriteText(task);
  WriteTextWithNumbers(" grid=#x# names=", {kGridColumns, kGridRows});
  for (int32_t i = 0; i < kClassCount; ++i) {
    if (i > 0) WriteText("%00");
    WritePercentEncoded(kClassNames[i]);
  }
}

}  // namespace micronet

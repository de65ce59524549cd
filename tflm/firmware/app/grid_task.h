// SPDX-License-Identifier: Apache-2.0
// What the answers of all models of grids have in common.
#ifndef MICRONET_GRID_TASK_H
#define MICRONET_GRID_TASK_H

#include "micronet_objects.h"
#include "recognition_responder.h"

namespace micronet {

// Of ready and info: task, rows and columns of cells, and the names of the classes or joints,
// percent-encoded, with "%00" between them, which no name has.
void WriteGridTask(const char *task);

// The part of the camera's frame that became the model's input.
inline micronet_view ViewOf(const Recognition &recognition) {
  return {recognition.left, recognition.top, recognition.part_width, recognition.part_height};
}

}  // namespace micronet

#endif  // MICRONET_GRID_TASK_H

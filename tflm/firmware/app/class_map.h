// SPDX-License-Identifier: Apache-2.0
// The class of each cell of a grid.
#ifndef MICRONET_CLASS_MAP_H
#define MICRONET_CLASS_MAP_H

#include <stdint.h>

#include "model_recognition.h"
#include "recognition_responder.h"

namespace micronet {

constexpr int32_t kGridCells = kGridRows * kGridColumns;

struct ClassMap {
  const uint8_t *classes;  // kGridCells, row after row: 0 for background, then the classes from 1
  const int32_t *counts;   // kGridAnswers: how many cells have each
};

// Valid until the next call.
ClassMap MapClasses(const Recognition &recognition);

}  // namespace micronet

#endif  // MICRONET_CLASS_MAP_H

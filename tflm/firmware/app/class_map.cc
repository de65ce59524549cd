// SPDX-License-Identifier: Apache-2.0
#include "class_map.h"

namespace micronet {
namespace {

uint8_t classes[kGridCells];
int32_t counts[kGridAnswers];

}  // namespace

ClassMap MapClasses(const Recognition &recognition) {
  micronet_class_map(recognition.scores, kGrid, classes, counts);
  return {classes, counts};
}

}  // namespace micronet

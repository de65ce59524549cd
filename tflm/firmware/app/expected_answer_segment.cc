// SPDX-License-Identifier: Apache-2.0
#include "class_map.h"
#include "expected_answer.h"
#include "test_vectors.h"

namespace micronet {

bool IsExpectedAnswer(int32_t image, const Recognition &recognition) {
  const ClassMap map = MapClasses(recognition);
  const uint8_t *expected = kTestClassMaps[image];
  for (int32_t i = 0; i < kGridCells; ++i) {
    if (map.classes[i] != expected[i]) {
      RespondError("vector", "cell # of test vector # must be of class #, received #",
                   {i, image, expected[i], map.classes[i]});
      return false;
    }
  }
  return true;
}

}  // namespace micronet

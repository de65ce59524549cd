// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "expected_answer.h"
#include "found_objects.h"
#include "test_vectors.h"

namespace micronet {

bool IsExpectedAnswer(int32_t image, const Recognition &recognition) {
  const FoundObjects found = FindObjects(recognition);
  const int32_t expected_count = kTestObjectCounts[image];
  if (found.count != expected_count) {
    RespondError("vector", "objects of test vector # must be #, received #",
                 {image, expected_count, found.count});
    return false;
  }
  const micronet_object *expected = kTestObjects;
  for (int32_t i = 0; i < image; ++i) expected += kTestObjectCounts[i];
  for (int32_t i = 0; i < found.count; ++i) {
    if (std::memcmp(&found.objects[i], &expected[i], sizeof(expected[i])) != 0) {
      const micronet_object &object = found.objects[i];
      RespondError("vector",
                   "object # of test vector # must be of class # at #,#, received class # at #,#",
                   {i, image, expected[i].class_index, expected[i].x, expected[i].y,
                    object.class_index, object.x, object.y});
      return false;
    }
  }
  return true;
}

}  // namespace micronet

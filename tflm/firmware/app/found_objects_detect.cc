// SPDX-License-Identifier: Apache-2.0
#include "found_objects.h"
#include "grid_task.h"
#include "model_recognition.h"

namespace micronet {
namespace {

micronet_object objects[kMostObjects];
uint32_t memory[MICRONET_FIND_OBJECTS_BYTES(kGridColumns) / sizeof(uint32_t)];

}  // namespace

const char *const kTaskOfObjects = "detect";

FoundObjects FindObjects(const Recognition &recognition) {
  const micronet_view view = ViewOf(recognition);
  const int32_t count = micronet_find_objects(recognition.scores, kGrid, kExponentials, kThresholds,
                                              &view, memory, objects, kMostObjects);
  return {objects, count};
}

}  // namespace micronet

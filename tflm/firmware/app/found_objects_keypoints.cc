// SPDX-License-Identifier: Apache-2.0
#include "found_objects.h"
#include "grid_task.h"
#include "model_recognition.h"

namespace micronet {
namespace {

micronet_object joints[kMostObjects];

}  // namespace

const char *const kTaskOfObjects = "keypoints";

FoundObjects FindObjects(const Recognition &recognition) {
  const micronet_view view = ViewOf(recognition);
  const int32_t count =
      micronet_find_keypoints(recognition.scores, kGrid, kSigmoids, kThresholds, &view, joints);
  return {joints, count};
}

}  // namespace micronet

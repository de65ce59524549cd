// SPDX-License-Identifier: Apache-2.0
// The objects or joints that the scores show. The model's task chooses the file found_objects_*.cc
// that defines these.
#ifndef MICRONET_FOUND_OBJECTS_H
#define MICRONET_FOUND_OBJECTS_H

#include <stdint.h>

#include "micronet_objects.h"
#include "recognition_responder.h"

namespace micronet {

struct FoundObjects {
  const micronet_object *objects;  // places in pixels of the frame, as it came
  int32_t count;
};

// The name of the task.
extern const char *const kTaskOfObjects;

// Valid until the next call.
FoundObjects FindObjects(const Recognition &recognition);

}  // namespace micronet

#endif  // MICRONET_FOUND_OBJECTS_H

// SPDX-License-Identifier: Apache-2.0
// The start of the model, the same for all applications.
#ifndef MICRONET_MODEL_START_H
#define MICRONET_MODEL_START_H

#include "recognizer.h"

namespace micronet {

// Gets the recognizer ready. Ends the program, after one error that tells why, if the model cannot
// work: "arena" or "model".
ModelDescription StartModel();

// Ends the program, after an error, unless `error` is null: what a function of the recognizer has
// returned.
void RequireModel(const char *error);

}  // namespace micronet

#endif  // MICRONET_MODEL_START_H

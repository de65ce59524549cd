// SPDX-License-Identifier: Apache-2.0
// Puts operators into the table of the Python package tflite-micro.
#ifndef MICRONET_WHEEL_REGISTRATION_H
#define MICRONET_WHEEL_REGISTRATION_H

#include "wheel_functions.h"

// Adds a custom operator, if the table looks as declared here.
//
// Returns whether it did. If not, it has printed why.
bool AddOperator(OperatorTable *table, const char *name,
                 const tflite::micro::TFLMRegistration *registration);

// Defines the function that the package looks for by the operator's name.
#define MICRONET_REGISTERER(name)                                  \
  MICRONET_EXPORTED bool name(OperatorTable *table) {              \
    return AddOperator(table, #name, micronet::Register_##name()); \
  }

#endif

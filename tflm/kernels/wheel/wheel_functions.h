// SPDX-License-Identifier: Apache-2.0
// Functions of the Python package tflite-micro, found by name in its loaded library.
#ifndef MICRONET_WHEEL_FUNCTIONS_H
#define MICRONET_WHEEL_FUNCTIONS_H

#include "tensorflow/lite/micro/kernels/kernel_util.h"

#define MICRONET_EXPORTED extern "C" __attribute__((visibility("default")))

// The package's table of operators.
struct OperatorTable {
  static constexpr unsigned int kCapacity = 200;

  void *virtual_functions;
  tflite::micro::TFLMRegistration registrations[kCapacity];
  unsigned int count;
};

constexpr std::int32_t kCustomOperator = 32;

// The table's own look-ups; null if there is no such operator.
const tflite::micro::TFLMRegistration *FindBuiltin(const OperatorTable *table, std::int32_t code);
const tflite::micro::TFLMRegistration *FindCustom(const OperatorTable *table, const char *name);

// Finds the functions. Must be called before anything else here.
//
// library_path: of the package's library, which the process has loaded.
// Returns null, or the name of the function that the library does not have, or its path if it is
// not loaded.
MICRONET_EXPORTED const char *micronet_connect(const char *library_path);

#endif

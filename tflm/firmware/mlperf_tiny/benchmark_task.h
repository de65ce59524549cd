// SPDX-License-Identifier: Apache-2.0
// Which of the benchmark's tasks the model can do, by its input and its classes.
#ifndef MICRONET_BENCHMARK_TASK_H
#define MICRONET_BENCHMARK_TASK_H

#include "model_settings.h"

namespace micronet {

constexpr bool IsModelOf(int size, int classes) {
  return kInputHeight == size && kInputWidth == size && kInputChannels == 3 &&
         kClassCount == classes;
}

constexpr bool kIsImageClassification = IsModelOf(32, 10);
constexpr bool kIsPersonDetection = IsModelOf(96, 2);
static_assert(
    kIsImageClassification || kIsPersonDetection,
    "For APPLICATION=mlperf-tiny the model must take 32x32 RGB pixels and have 10 classes "
    "(image classification), or take 96x96 RGB pixels and have 2 (person detection).");

// The benchmark's name of the task.
constexpr const char *kBenchmarkTask = kIsImageClassification ? "ic01" : "vww01";

}  // namespace micronet

#endif  // MICRONET_BENCHMARK_TASK_H

// SPDX-License-Identifier: Apache-2.0
// What the glue of dense_s4 and of dense_s8 have in common.
#ifndef MICRONET_KERNEL_DENSE_H
#define MICRONET_KERNEL_DENSE_H

#include "kernel_node.h"

extern "C" {
#include "dense.h"
}

namespace tflite {
namespace micro {
namespace micronet_kernels {

struct DenseKernel : KernelDefaults {
  using Params = micronet_dense_params;
  static constexpr int kActivations = 1;

  static ExpectedActivation Input(const Params &params) {
    return ExpectedPixels(1, params.inputs, kAnyZeroPoint);
  }
  static ExpectedActivation Output(const Params &params) {
    const std::int32_t zero_point = params.has_table ? kAnyZeroPoint : params.output_zero_point;
    return ExpectedPixels(1, params.outputs, zero_point);
  }
};

}  // namespace micronet_kernels
}  // namespace micro
}  // namespace tflite

#endif

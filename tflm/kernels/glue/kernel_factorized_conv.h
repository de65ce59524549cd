// SPDX-License-Identifier: Apache-2.0
// What the glue of factorized_depthwise_conv_s8 and of factorized_stem_s8 have in common.
#ifndef MICRONET_KERNEL_FACTORIZED_CONV_H
#define MICRONET_KERNEL_FACTORIZED_CONV_H

#include "kernel_node.h"

extern "C" {
#include "factorized_conv.h"
}

namespace tflite {
namespace micro {
namespace micronet_kernels {

struct FactorizedConvKernel : KernelDefaults {
  using Params = micronet_factorized_conv_params;
  static constexpr int kActivations = 1;

  static ExpectedActivation Input(const Params &params) {
    return ExpectedMap(params.height, params.width, params.channels, params.vertical.padding);
  }
  static ExpectedActivation Output(const Params &params) {
    const std::int32_t height = (params.height - 1) / params.vertical.stride + 1;
    const std::int32_t width = (params.width - 1) / params.horizontal.stride + 1;
    return ExpectedMap(height, width, params.horizontal.channels, params.horizontal.zero_point);
  }
};

}  // namespace micronet_kernels
}  // namespace micro
}  // namespace tflite

#endif

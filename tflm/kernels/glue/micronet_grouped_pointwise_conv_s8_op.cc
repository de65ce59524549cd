// SPDX-License-Identifier: Apache-2.0
#include "kernel_node.h"
#include "micronet_ops.h"

extern "C" {
#include "grouped_pointwise_conv_s8.h"
}

MICRONET_DECLARE_OPERATOR(MICRONET_GROUPED_POINTWISE_CONV_S8);

namespace tflite {
namespace micro {
namespace micronet_kernels {
namespace {

struct GroupedPointwiseConv : KernelDefaults {
  using Params = micronet_grouped_pointwise_conv_s8_params;
  static constexpr char kName[] = "MICRONET_GROUPED_POINTWISE_CONV_S8";
  static constexpr int kActivations = 1;
  static constexpr auto Bind = micronet_grouped_pointwise_conv_s8_bind;
  static constexpr auto BufferBytes = micronet_grouped_pointwise_conv_s8_get_buffer_size;

  static ExpectedActivation Input(const Params &params) {
    return ExpectedPixels(params.pixels, params.groups * params.inputs, kAnyZeroPoint);
  }
  static ExpectedActivation Output(const Params &params) {
    return ExpectedPixels(params.pixels, params.groups * params.outputs, params.output_zero_point);
  }

  static micronet_status Run(const Params *params, const std::int8_t *const *inputs,
                             std::int8_t *output, void *buffer) {
    return micronet_grouped_pointwise_conv_s8(params, inputs[0], output, buffer);
  }
};

}  // namespace

const TFLMRegistration *Register_MICRONET_GROUPED_POINTWISE_CONV_S8() {
  return KernelRegistration<GroupedPointwiseConv>::Get();
}

}  // namespace micronet_kernels
}  // namespace micro
}  // namespace tflite

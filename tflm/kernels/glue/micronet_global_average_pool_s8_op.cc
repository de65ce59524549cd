// SPDX-License-Identifier: Apache-2.0
#include "kernel_node.h"
#include "micronet_ops.h"
#include "tensorflow/lite/micro/micro_log.h"

extern "C" {
#include "global_average_pool_s8.h"
}

MICRONET_DECLARE_OPERATOR(MICRONET_GLOBAL_AVERAGE_POOL_S8);

namespace tflite {
namespace micro {
namespace micronet_kernels {
namespace {

struct GlobalAveragePool : KernelDefaults {
  using Params = micronet_global_average_pool_s8_params;
  static constexpr char kName[] = "MICRONET_GLOBAL_AVERAGE_POOL_S8";
  static constexpr int kActivations = 1;
  static constexpr auto Bind = micronet_global_average_pool_s8_bind;
  static constexpr auto BufferBytes = micronet_global_average_pool_s8_get_buffer_size;

  static ExpectedActivation Input(const Params &params) {
    return ExpectedPixels(params.pixels, params.channels, kAnyZeroPoint);
  }
  static ExpectedActivation Output(const Params &params) {
    return ExpectedPixels(1, params.channels, kAnyZeroPoint);
  }

  static bool AreConsistent(const Params &params, const TensorFacts *inputs,
                            const TensorFacts &output) {
    const TensorFacts &input = inputs[0];
    if (params.has_table ||
        (input.scale == output.scale && input.zero_point == output.zero_point)) {
      return true;
    }
    MicroPrintf(
        "%s: without a table, the output must have the input's scale and zero point. "
        "Received: zero points %d and %d, scales %.9f and %.9f of input and output",
        kName, static_cast<int>(input.zero_point), static_cast<int>(output.zero_point),
        static_cast<double>(input.scale), static_cast<double>(output.scale));
    return false;
  }

  static micronet_status Run(const Params *params, const std::int8_t *const *inputs,
                             std::int8_t *output, void *buffer) {
    return micronet_global_average_pool_s8(params, inputs[0], output, buffer);
  }
};

}  // namespace

const TFLMRegistration *Register_MICRONET_GLOBAL_AVERAGE_POOL_S8() {
  return KernelRegistration<GlobalAveragePool>::Get();
}

}  // namespace micronet_kernels
}  // namespace micro
}  // namespace tflite

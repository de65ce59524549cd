#include "kernel_node.h"
#include "micronet_ops.h"

extern "C" {
#include "factorized_stem_s8.h"
}

namespace tflite {
namespace micro {
namespace micronet_kernels {
namespace {

struct FactorizedStem : KernelDefaults {
  using Params = micronet_factorized_stem_s8_params;
  static constexpr char kName[] = "MICRONET_FACTORIZED_STEM_S8";
  static constexpr int kActivations = 1;
  static constexpr auto Bind = micronet_factorized_stem_s8_bind;
  static constexpr auto BufferBytes = micronet_factorized_stem_s8_get_buffer_size;

  static ExpectedActivation Input(const Params& params) {
    return ExpectedMap(params.height, params.width, params.channels, params.vertical.padding);
  }
  static ExpectedActivation Output(const Params& params) {
    const std::int32_t height = (params.height - 1) / params.vertical.stride + 1;
    const std::int32_t width = (params.width - 1) / params.horizontal.stride + 1;
    return ExpectedMap(height, width, params.horizontal.channels, params.horizontal.zero_point);
  }

  static micronet_status Run(const Params* params, const std::int8_t* const* inputs,
                             std::int8_t* output, void* buffer) {
    return micronet_factorized_stem_s8(params, inputs[0], output, buffer);
  }
};

}  // namespace

const TFLMRegistration* Register_MICRONET_FACTORIZED_STEM_S8() {
  return KernelRegistration<FactorizedStem>::Get();
}

}  // namespace micronet_kernels
}  // namespace micro
}  // namespace tflite

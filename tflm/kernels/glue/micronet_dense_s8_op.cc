#include "kernel_node.h"
#include "micronet_ops.h"

extern "C" {
#include "dense_s8.h"
}

namespace tflite {
namespace micro {
namespace micronet_kernels {
namespace {

struct Dense : KernelDefaults {
  using Params = micronet_dense_s8_params;
  static constexpr char kName[] = "MICRONET_DENSE_S8";
  static constexpr int kActivations = 1;
  static constexpr auto Bind = micronet_dense_s8_bind;
  static constexpr auto BufferBytes = micronet_dense_s8_get_buffer_size;

  static ExpectedActivation Input(const Params& params) {
    return ExpectedPixels(1, params.inputs, kAnyZeroPoint);
  }
  static ExpectedActivation Output(const Params& params) {
    const std::int32_t zero_point = params.has_table ? kAnyZeroPoint : params.output_zero_point;
    return ExpectedPixels(1, params.outputs, zero_point);
  }

  static micronet_status Run(const Params* params, const std::int8_t* const* inputs,
                             std::int8_t* output, void* buffer) {
    return micronet_dense_s8(params, inputs[0], output, buffer);
  }
};

}  // namespace

const TFLMRegistration* Register_MICRONET_DENSE_S8() {
  return KernelRegistration<Dense>::Get();
}

}  // namespace micronet_kernels
}  // namespace micro
}  // namespace tflite

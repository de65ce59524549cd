#include "kernel_node.h"
#include "micronet_ops.h"

extern "C" {
#include "residual_add_s8.h"
}

namespace tflite {
namespace micro {
namespace micronet_kernels {
namespace {

struct ResidualAdd {
  using Params = micronet_residual_add_s8_params;
  static constexpr char kName[] = "MICRONET_RESIDUAL_ADD_S8";
  static constexpr int kActivations = 2;
  static constexpr auto Bind = micronet_residual_add_s8_bind;
  static constexpr auto BufferBytes = micronet_residual_add_s8_get_buffer_size;

  static std::int64_t InputBytes(const Params& params) { return params.elements; }
  static std::int64_t OutputBytes(const Params& params) { return params.elements; }

  static micronet_status Run(const Params* params, const std::int8_t* const* inputs,
                             std::int8_t* output, void*) {
    return micronet_residual_add_s8(params, inputs[0], inputs[1], output);
  }
};

}  // namespace

const TFLMRegistration* Register_MICRONET_RESIDUAL_ADD_S8() {
  return KernelRegistration<ResidualAdd>::Get();
}

}  // namespace micronet_kernels
}  // namespace micro
}  // namespace tflite

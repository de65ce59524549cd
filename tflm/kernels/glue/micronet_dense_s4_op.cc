#include "kernel_node.h"
#include "micronet_ops.h"

extern "C" {
#include "dense_s4.h"
}

namespace tflite {
namespace micro {
namespace micronet_kernels {
namespace {

struct Dense {
  using Params = micronet_dense_s4_params;
  static constexpr char kName[] = "MICRONET_DENSE_S4";
  static constexpr int kActivations = 1;
  static constexpr auto Bind = micronet_dense_s4_bind;
  static constexpr auto BufferBytes = micronet_dense_s4_get_buffer_size;

  static std::int64_t InputBytes(const Params& params) { return params.inputs; }
  static std::int64_t OutputBytes(const Params& params) { return params.outputs; }

  static micronet_status Run(const Params* params, const std::int8_t* const* inputs,
                             std::int8_t* output, void* buffer) {
    return micronet_dense_s4(params, inputs[0], output, buffer);
  }
};

}  // namespace

const TFLMRegistration* Register_MICRONET_DENSE_S4() {
  return KernelRegistration<Dense>::Get();
}

}  // namespace micronet_kernels
}  // namespace micro
}  // namespace tflite

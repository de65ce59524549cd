// SPDX-License-Identifier: Apache-2.0
#include "kernel_dense.h"
#include "micronet_ops.h"

extern "C" {
#include "dense_s8.h"
}

MICRONET_DECLARE_OPERATOR(MICRONET_DENSE_S8);

namespace tflite {
namespace micro {
namespace micronet_kernels {
namespace {

struct Dense : DenseKernel {
  static constexpr char kName[] = "MICRONET_DENSE_S8";
  static constexpr auto Bind = micronet_dense_s8_bind;
  static constexpr auto BufferBytes = micronet_dense_s8_get_buffer_size;

  static micronet_status Run(const Params *params, const std::int8_t *const *inputs,
                             std::int8_t *output, void *buffer) {
    return micronet_dense_s8(params, inputs[0], output, buffer);
  }
};

}  // namespace

const TFLMRegistration *Register_MICRONET_DENSE_S8() { return KernelRegistration<Dense>::Get(); }

}  // namespace micronet_kernels
}  // namespace micro
}  // namespace tflite

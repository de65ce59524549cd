// SPDX-License-Identifier: Apache-2.0
#include "kernel_node.h"
#include "micronet_ops.h"
#include "tensorflow/lite/micro/micro_log.h"

extern "C" {
#include "residual_add_s8.h"
}

MICRONET_DECLARE_OPERATOR(MICRONET_RESIDUAL_ADD_S8);

namespace tflite {
namespace micro {
namespace micronet_kernels {
namespace {

struct ResidualAdd : KernelDefaults {
  using Params = micronet_residual_add_s8_params;
  static constexpr char kName[] = "MICRONET_RESIDUAL_ADD_S8";
  static constexpr int kActivations = 2;
  static constexpr std::int32_t kOne = 1 << MICRONET_RESIDUAL_ADD_S8_SHIFT;
  static constexpr auto Bind = micronet_residual_add_s8_bind;
  static constexpr auto BufferBytes = micronet_residual_add_s8_get_buffer_size;

  static ExpectedActivation Input(const Params &params) {
    return {params.elements, kAnySize, kAnySize, kAnyZeroPoint};
  }
  static ExpectedActivation Output(const Params &params) { return Input(params); }

  static bool AreConsistent(const Params &params, const TensorFacts *inputs,
                            const TensorFacts &output) {
    return IsShapeOf(output, inputs[0]) && IsShapeOf(output, inputs[1]) &&
           AreMultipliersRight(params, inputs, output) && IsOffsetRight(params, inputs, output);
  }

  static bool IsShapeOf(const TensorFacts &output, const TensorFacts &input) {
    const int *expected = output.dimensions;
    const int *received = input.dimensions;
    bool is_equal = true;
    for (int i = 0; i < kMostDimensions; ++i) is_equal &= received[i] == expected[i];
    if (is_equal) return true;
    MicroPrintf(
        "%s: an input must have the output's shape (%d, %d, %d, %d), where 0 is none. "
        "Received: (%d, %d, %d, %d)",
        kName, expected[0], expected[1], expected[2], expected[3], received[0], received[1],
        received[2], received[3]);
    return false;
  }

  static bool AreMultipliersRight(const Params &params, const TensorFacts *inputs,
                                  const TensorFacts &output) {
    const std::int32_t first = MultiplierOf(inputs[0].scale / output.scale);
    const std::int32_t second = MultiplierOf(inputs[1].scale / output.scale);
    if (IsNear(params.first_multiplier, first) && IsNear(params.second_multiplier, second)) {
      return true;
    }
    MicroPrintf(
        "%s: the multipliers must be the scales / the output's, times 4096: %d and %d. "
        "Received: %d and %d",
        kName, static_cast<int>(first), static_cast<int>(second),
        static_cast<int>(params.first_multiplier), static_cast<int>(params.second_multiplier));
    return false;
  }

  // Of ratios that are too large for a multiplier, one that is too large, too.
  static std::int32_t MultiplierOf(float ratio) {
    constexpr float kLimit = 16.0f;
    const float limited = ratio < kLimit ? ratio : kLimit;
    return static_cast<std::int32_t>(limited * kOne + 0.5f);
  }

  // The scales may have been rounded to float after the multipliers were made.
  static bool IsNear(std::int32_t one, std::int32_t other) {
    return one - other <= 1 && other - one <= 1;
  }

  static bool IsOffsetRight(const Params &params, const TensorFacts *inputs,
                            const TensorFacts &output) {
    const std::int32_t offset = output.zero_point * kOne + kOne / 2 -
                                params.first_multiplier * inputs[0].zero_point -
                                params.second_multiplier * inputs[1].zero_point;
    if (params.offset == offset) return true;
    MicroPrintf("%s: the offset must be that of the zero points, %d. Received: %d", kName,
                static_cast<int>(offset), static_cast<int>(params.offset));
    return false;
  }

  static micronet_status Run(const Params *params, const std::int8_t *const *inputs,
                             std::int8_t *output, void *) {
    return micronet_residual_add_s8(params, inputs[0], inputs[1], output);
  }
};

}  // namespace

const TFLMRegistration *Register_MICRONET_RESIDUAL_ADD_S8() {
  return KernelRegistration<ResidualAdd>::Get();
}

}  // namespace micronet_kernels
}  // namespace micro
}  // namespace tflite

// SPDX-License-Identifier: Apache-2.0
// What TensorFlow Lite Micro's nodes of all MICRONET_ operators do alike.
//
// A node's inputs are the activations, int8, and then the constants, int8, int16 or int32; it has
// one output, int8, and its custom options are the options of micronet_operands.h. An activation
// has a batch of 1, and one scale and zero point. Scales and zero points are not read to compute:
// they must be those that the operator's options and constants were made for.
#ifndef MICRONET_KERNEL_NODE_H
#define MICRONET_KERNEL_NODE_H

#include <cstddef>
#include <cstdint>

#include "tensorflow/lite/micro/kernels/kernel_util.h"
#include "tensorflow/lite/micro/micro_common.h"

extern "C" {
#include "micronet_operands.h"
}

// Inside tflite::micro, the types of TensorFlow Lite Micro are found wherever its release has them:
// in the global namespace, in tflite, or in tflite::micro.
namespace tflite {
namespace micro {
namespace micronet_kernels {

constexpr int kMostActivations = 2;
constexpr int kMostConstants = 16;
constexpr int kMostDimensions = 4;
constexpr std::int32_t kAnySize = -1;
constexpr std::int32_t kAnyZeroPoint = 128;  // not one of int8

// What is needed of a tensor while a node is prepared.
struct TensorFacts {
  bool exists;
  bool is_constant;
  TfLiteType type;
  std::size_t bytes;
  const void *data;  // of a constant
  int dimension_count;
  int dimensions[kMostDimensions];  // the first ones, then zeros
  int scale_count;
  float scale;
  std::int32_t zero_point;
};

// What the operator's parameters say about an activation.
struct ExpectedActivation {
  std::int32_t elements;
  std::int32_t channels;    // the last dimension, or kAnySize
  std::int32_t height;      // the second of four dimensions, or kAnySize
  std::int32_t zero_point;  // or kAnyZeroPoint
};

// Of shape (1, height, width, channels).
constexpr ExpectedActivation ExpectedMap(std::int32_t height, std::int32_t width,
                                         std::int32_t channels, std::int32_t zero_point) {
  return {height * width * channels, channels, height, zero_point};
}

// Of shape (1, ..., channels), in which the dimensions between are any that make that many pixels.
constexpr ExpectedActivation ExpectedPixels(std::int32_t pixels, std::int32_t channels,
                                            std::int32_t zero_point) {
  return {pixels * channels, channels, kAnySize, zero_point};
}

// Operators derive from this, and replace what is not so for them.
struct KernelDefaults {
  // Whether activations, each of which is as expected, fit each other. If not, prints why.
  template <typename Params>
  static bool AreConsistent(const Params &, const TensorFacts *, const TensorFacts &) {
    return true;
  }
};

// One operator. `params` point to its own structure of parameters.
struct KernelOperator {
  const char *name;
  int activations;  // 1 to kMostActivations
  std::size_t params_bytes;
  micronet_status (*bind)(const micronet_operands *operands, void *params);
  ExpectedActivation (*input)(const void *params);  // each of them
  ExpectedActivation (*output)(const void *params);
  bool (*are_consistent)(const void *params, const TensorFacts *inputs, const TensorFacts &output);
  std::int32_t (*buffer_bytes)(const void *params);
  micronet_status (*run)(const void *params, const std::int8_t *const *inputs, std::int8_t *output,
                         void *buffer);
};

// What TensorFlow Lite Micro calls for a node of `kernel`.
void *InitNode(const KernelOperator &kernel, TfLiteContext *context, const char *options,
               std::size_t options_bytes);
TfLiteStatus PrepareNode(const KernelOperator &kernel, TfLiteContext *context, TfLiteNode *node);
TfLiteStatus InvokeNode(const KernelOperator &kernel, TfLiteContext *context, TfLiteNode *node);

// Makes a registration of `Kernel`, a class without objects. It has the type Params, the constants
// kName and kActivations, and the functions Bind, Input, Output, AreConsistent, BufferBytes and
// Run: those of KernelOperator with their types.
template <typename Kernel>
class KernelRegistration {
 public:
  static const TFLMRegistration *Get() {
    static constexpr TFLMRegistration kRegistration = {Init,    nullptr, Prepare, Invoke,
                                                       nullptr, 0,       nullptr};
    return &kRegistration;
  }

 private:
  using Params = typename Kernel::Params;

  static micronet_status Bind(const micronet_operands *operands, void *params) {
    return Kernel::Bind(operands, static_cast<Params *>(params));
  }
  static ExpectedActivation Input(const void *params) {
    return Kernel::Input(*static_cast<const Params *>(params));
  }
  static ExpectedActivation Output(const void *params) {
    return Kernel::Output(*static_cast<const Params *>(params));
  }
  static bool AreConsistent(const void *params, const TensorFacts *inputs,
                            const TensorFacts &output) {
    return Kernel::AreConsistent(*static_cast<const Params *>(params), inputs, output);
  }
  static std::int32_t BufferBytes(const void *params) {
    return Kernel::BufferBytes(static_cast<const Params *>(params));
  }
  static micronet_status Run(const void *params, const std::int8_t *const *inputs,
                             std::int8_t *output, void *buffer) {
    return Kernel::Run(static_cast<const Params *>(params), inputs, output, buffer);
  }

  static constexpr KernelOperator kOperator = {
      Kernel::kName, Kernel::kActivations, sizeof(Params), Bind, Input,
      Output,        AreConsistent,        BufferBytes,    Run};

  static void *Init(TfLiteContext *context, const char *options, std::size_t options_bytes) {
    return InitNode(kOperator, context, options, options_bytes);
  }
  static TfLiteStatus Prepare(TfLiteContext *context, TfLiteNode *node) {
    return PrepareNode(kOperator, context, node);
  }
  static TfLiteStatus Invoke(TfLiteContext *context, TfLiteNode *node) {
    return InvokeNode(kOperator, context, node);
  }
};

}  // namespace micronet_kernels
}  // namespace micro
}  // namespace tflite

#endif

// What TensorFlow Lite Micro's nodes of all MICRONET_ operators do alike.
//
// A node's inputs are the activations, int8, and then the constants, int8, int16 or int32; it has
// one output, int8, and its custom options are the options of micronet_operands.h.
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

// One operator. `params` point to its own structure of parameters.
struct KernelOperator {
  const char* name;
  int activations;  // 1 to kMostActivations
  std::size_t params_bytes;
  micronet_status (*bind)(const micronet_operands* operands, void* params);
  std::int64_t (*input_bytes)(const void* params);  // of each activation
  std::int64_t (*output_bytes)(const void* params);
  std::int32_t (*buffer_bytes)(const void* params);
  micronet_status (*run)(const void* params, const std::int8_t* const* inputs,
                         std::int8_t* output, void* buffer);
};

// What TensorFlow Lite Micro calls for a node of `kernel`.
void* InitNode(const KernelOperator& kernel, TfLiteContext* context, const char* options,
               std::size_t options_bytes);
TfLiteStatus PrepareNode(const KernelOperator& kernel, TfLiteContext* context, TfLiteNode* node);
TfLiteStatus InvokeNode(const KernelOperator& kernel, TfLiteContext* context, TfLiteNode* node);

// Makes a registration of `Kernel`, a class without objects. It has the type Params, the constants
// kName and kActivations, and the functions Bind, InputBytes, OutputBytes, BufferBytes and Run:
// those of KernelOperator with their types.
template <typename Kernel>
class KernelRegistration {
 public:
  static const TFLMRegistration* Get() {
    static constexpr TFLMRegistration kRegistration = {Init,    nullptr, Prepare, Invoke,
                                                       nullptr, 0,       nullptr};
    return &kRegistration;
  }

 private:
  using Params = typename Kernel::Params;

  static micronet_status Bind(const micronet_operands* operands, void* params) {
    return Kernel::Bind(operands, static_cast<Params*>(params));
  }
  static std::int64_t InputBytes(const void* params) {
    return Kernel::InputBytes(*static_cast<const Params*>(params));
  }
  static std::int64_t OutputBytes(const void* params) {
    return Kernel::OutputBytes(*static_cast<const Params*>(params));
  }
  static std::int32_t BufferBytes(const void* params) {
    return Kernel::BufferBytes(static_cast<const Params*>(params));
  }
  static micronet_status Run(const void* params, const std::int8_t* const* inputs,
                             std::int8_t* output, void* buffer) {
    return Kernel::Run(static_cast<const Params*>(params), inputs, output, buffer);
  }

  static constexpr KernelOperator kOperator = {
      Kernel::kName, Kernel::kActivations, sizeof(Params), Bind,
      InputBytes,    OutputBytes,          BufferBytes,    Run};

  static void* Init(TfLiteContext* context, const char* options, std::size_t options_bytes) {
    return InitNode(kOperator, context, options, options_bytes);
  }
  static TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
    return PrepareNode(kOperator, context, node);
  }
  static TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode* node) {
    return InvokeNode(kOperator, context, node);
  }
};

}  // namespace micronet_kernels
}  // namespace micro
}  // namespace tflite

#endif

#include "kernel_node.h"

#include "tensorflow/lite/micro/micro_log.h"

extern "C" {
#include "micronet_status.h"
}

namespace tflite {
namespace micro {
namespace micronet_kernels {
namespace {

constexpr int kNoBuffer = -1;  // no index

// A node's memory begins with this; the operator's parameters follow.
struct alignas(8) KernelNode {
  const std::uint8_t* options;  // in the model's memory
  std::int32_t options_bytes;
  int buffer;  // index of the scratch buffer, or kNoBuffer
};

void* ParamsOf(KernelNode* kernel_node) { return kernel_node + 1; }

// What is needed of a tensor while a node is prepared.
struct TensorFacts {
  bool exists;
  bool is_constant;
  TfLiteType type;
  std::size_t bytes;
  const void* data;  // of a constant
};

// Gives the temporary tensor, which may be null, back.
TensorFacts FactsOf(TfLiteContext* context, TfLiteTensor* tensor) {
  if (tensor == nullptr) return {};
  const TensorFacts facts = {true, tensor->allocation_type == kTfLiteMmapRo, tensor->type,
                             tensor->bytes, tensor->data.data};
  GetMicroContext(context)->DeallocateTempTfLiteTensor(tensor);
  return facts;
}

TensorFacts FactsOfInput(TfLiteContext* context, const TfLiteNode* node, int index) {
  return FactsOf(context, GetMicroContext(context)->AllocateTempInputTensor(node, index));
}

TensorFacts FactsOfOutput(TfLiteContext* context, const TfLiteNode* node) {
  return FactsOf(context, GetMicroContext(context)->AllocateTempOutputTensor(node, 0));
}

const char* KindOf(const TensorFacts& facts) {
  return !facts.exists ? "no tensor" : facts.is_constant ? "a constant" : "an activation";
}

bool HasRightNumbers(const KernelOperator& kernel, const TfLiteNode* node) {
  const int most_inputs = kernel.activations + kMostConstants;
  if (node->inputs->size >= kernel.activations && node->inputs->size <= most_inputs &&
      node->outputs->size == 1) {
    return true;
  }
  MicroPrintf("%s must have %d to %d inputs and 1 output. Received: %d and %d", kernel.name,
              kernel.activations, most_inputs, node->inputs->size, node->outputs->size);
  return false;
}

bool ReadConstant(const KernelOperator& kernel, TfLiteContext* context, const TfLiteNode* node,
                  int index, micronet_constant* constant) {
  const TensorFacts facts = FactsOfInput(context, node, index);
  const bool is_integer = facts.type == kTfLiteInt8 || facts.type == kTfLiteInt16 ||
                          facts.type == kTfLiteInt32;
  if (!facts.exists || !facts.is_constant || !is_integer || facts.bytes > INT32_MAX) {
    MicroPrintf("%s: input %d must be a constant, int8, int16 or int32. Received: %s of type %s",
                kernel.name, index, KindOf(facts), TfLiteTypeGetName(facts.type));
    return false;
  }
  *constant = {facts.data, static_cast<std::int32_t>(facts.bytes)};
  return true;
}

bool BindNode(const KernelOperator& kernel, TfLiteContext* context, const TfLiteNode* node,
              KernelNode* kernel_node) {
  micronet_constant constants[kMostConstants];
  const int count = node->inputs->size - kernel.activations;
  for (int i = 0; i < count; ++i) {
    if (!ReadConstant(kernel, context, node, kernel.activations + i, &constants[i])) return false;
  }
  const micronet_operands operands = {kernel_node->options, kernel_node->options_bytes, constants,
                                      count};
  const micronet_status status = kernel.bind(&operands, ParamsOf(kernel_node));
  if (status == MICRONET_OK) return true;
  MicroPrintf("%s: %s. Received: %d bytes of options, %d constants", kernel.name,
              micronet_status_message(status), static_cast<int>(kernel_node->options_bytes),
              count);
  for (int i = 0; i < count; ++i) {
    MicroPrintf("%s: constant %d has %d bytes", kernel.name, i,
                static_cast<int>(constants[i].bytes));
  }
  return false;
}

bool IsActivation(const KernelOperator& kernel, const char* role, const TensorFacts& facts,
                  std::int64_t bytes) {
  if (facts.exists && !facts.is_constant && facts.type == kTfLiteInt8 &&
      static_cast<std::int64_t>(facts.bytes) == bytes) {
    return true;
  }
  MicroPrintf("%s: %s must be an int8 activation of %d bytes. Received: %s of type %s, %d bytes",
              kernel.name, role, static_cast<int>(bytes), KindOf(facts),
              TfLiteTypeGetName(facts.type), static_cast<int>(facts.bytes));
  return false;
}

bool HasRightActivations(const KernelOperator& kernel, TfLiteContext* context,
                         const TfLiteNode* node, const void* params) {
  for (int i = 0; i < kernel.activations; ++i) {
    if (!IsActivation(kernel, "an input", FactsOfInput(context, node, i),
                      kernel.input_bytes(params))) {
      return false;
    }
  }
  return IsActivation(kernel, "the output", FactsOfOutput(context, node),
                      kernel.output_bytes(params));
}

}  // namespace

void* InitNode(const KernelOperator& kernel, TfLiteContext* context, const char* options,
               std::size_t options_bytes) {
  const std::size_t bytes = sizeof(KernelNode) + kernel.params_bytes;
  void* memory = GetMicroContext(context)->AllocatePersistentBuffer(bytes);
  if (memory == nullptr || options_bytes > INT32_MAX) return nullptr;
  auto* kernel_node = static_cast<KernelNode*>(memory);
  kernel_node->options = reinterpret_cast<const std::uint8_t*>(options);
  kernel_node->options_bytes = static_cast<std::int32_t>(options_bytes);
  kernel_node->buffer = kNoBuffer;
  return kernel_node;
}

TfLiteStatus PrepareNode(const KernelOperator& kernel, TfLiteContext* context, TfLiteNode* node) {
  auto* kernel_node = static_cast<KernelNode*>(node->user_data);
  if (kernel_node == nullptr) {
    MicroPrintf("%s: the arena has no room for the node", kernel.name);
    return kTfLiteError;
  }
  const void* params = ParamsOf(kernel_node);
  if (!HasRightNumbers(kernel, node) || !BindNode(kernel, context, node, kernel_node) ||
      !HasRightActivations(kernel, context, node, params)) {
    return kTfLiteError;
  }
  const std::int32_t buffer_bytes = kernel.buffer_bytes(params);
  if (buffer_bytes == 0) return kTfLiteOk;
  return GetMicroContext(context)->RequestScratchBufferInArena(
      static_cast<std::size_t>(buffer_bytes), &kernel_node->buffer);
}

TfLiteStatus InvokeNode(const KernelOperator& kernel, TfLiteContext* context, TfLiteNode* node) {
  auto* kernel_node = static_cast<KernelNode*>(node->user_data);
  const std::int8_t* inputs[kMostActivations] = {};
  for (int i = 0; i < kernel.activations; ++i) {
    inputs[i] = static_cast<const std::int8_t*>(GetEvalInput(context, node, i)->data.data);
  }
  auto* output = static_cast<std::int8_t*>(GetEvalOutput(context, node, 0)->data.data);
  void* buffer = nullptr;
  if (kernel_node->buffer != kNoBuffer) {
    buffer = GetMicroContext(context)->GetScratchBuffer(kernel_node->buffer);
  }
  const micronet_status status = kernel.run(ParamsOf(kernel_node), inputs, output, buffer);
  if (status == MICRONET_OK) return kTfLiteOk;
  MicroPrintf("%s: %s", kernel.name, micronet_status_message(status));
  return kTfLiteError;
}

}  // namespace micronet_kernels
}  // namespace micro
}  // namespace tflite

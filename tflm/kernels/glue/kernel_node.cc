// SPDX-License-Identifier: Apache-2.0
#include "kernel_node.h"

#include <cfloat>

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
  const std::uint8_t *options;  // in the model's memory
  std::int32_t options_bytes;
  int buffer;  // index of the scratch buffer, or kNoBuffer
};

void *ParamsOf(KernelNode *kernel_node) { return kernel_node + 1; }

int ScaleCount(const TfLiteQuantization &quantization) {
  if (quantization.type != kTfLiteAffineQuantization) return 0;
  return static_cast<const TfLiteAffineQuantization *>(quantization.params)->scale->size;
}

// Gives the temporary tensor, which may be null, back.
TensorFacts FactsOf(TfLiteContext *context, TfLiteTensor *tensor) {
  TensorFacts facts = {};
  if (tensor == nullptr) return facts;
  facts.exists = true;
  facts.is_constant = tensor->allocation_type == kTfLiteMmapRo;
  facts.type = tensor->type;
  facts.bytes = tensor->bytes;
  facts.data = tensor->data.data;
  facts.dimension_count = tensor->dims->size;
  for (int i = 0; i < kMostDimensions && i < facts.dimension_count; ++i) {
    facts.dimensions[i] = tensor->dims->data[i];
  }
  facts.scale_count = ScaleCount(tensor->quantization);
  facts.scale = tensor->params.scale;
  facts.zero_point = tensor->params.zero_point;
  GetMicroContext(context)->DeallocateTempTfLiteTensor(tensor);
  return facts;
}

TensorFacts FactsOfInput(TfLiteContext *context, const TfLiteNode *node, int index) {
  return FactsOf(context, GetMicroContext(context)->AllocateTempInputTensor(node, index));
}

TensorFacts FactsOfOutput(TfLiteContext *context, const TfLiteNode *node) {
  return FactsOf(context, GetMicroContext(context)->AllocateTempOutputTensor(node, 0));
}

const char *KindOf(const TensorFacts &facts) {
  return !facts.exists ? "no tensor" : facts.is_constant ? "a constant" : "an activation";
}

bool HasRightNumbers(const KernelOperator &kernel, const TfLiteNode *node) {
  const int most_inputs = kernel.activations + kMostConstants;
  if (node->inputs->size >= kernel.activations && node->inputs->size <= most_inputs &&
      node->outputs->size == 1) {
    return true;
  }
  MicroPrintf("%s must have %d to %d inputs and 1 output. Received: %d and %d", kernel.name,
              kernel.activations, most_inputs, node->inputs->size, node->outputs->size);
  return false;
}

bool ReadConstant(const KernelOperator &kernel, TfLiteContext *context, const TfLiteNode *node,
                  int index, micronet_constant *constant) {
  const TensorFacts facts = FactsOfInput(context, node, index);
  const bool is_integer =
      facts.type == kTfLiteInt8 || facts.type == kTfLiteInt16 || facts.type == kTfLiteInt32;
  if (!facts.exists || !facts.is_constant || !is_integer || facts.bytes > INT32_MAX) {
    MicroPrintf("%s: input %d must be a constant, int8, int16 or int32. Received: %s of type %s",
                kernel.name, index, KindOf(facts), TfLiteTypeGetName(facts.type));
    return false;
  }
  *constant = {facts.data, static_cast<std::int32_t>(facts.bytes)};
  return true;
}

bool BindNode(const KernelOperator &kernel, TfLiteContext *context, const TfLiteNode *node,
              KernelNode *kernel_node) {
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
              micronet_status_message(status), static_cast<int>(kernel_node->options_bytes), count);
  for (int i = 0; i < count; ++i) {
    MicroPrintf("%s: constant %d has %d bytes", kernel.name, i,
                static_cast<int>(constants[i].bytes));
  }
  return false;
}

bool HasShape(const TensorFacts &facts, const ExpectedActivation &expected) {
  const int count = facts.dimension_count;
  if (count < 2 || count > kMostDimensions || facts.dimensions[0] != 1) return false;
  std::int64_t elements = 1;
  for (int i = 1; i < count; ++i) {
    if (facts.dimensions[i] < 1) return false;
    elements *= facts.dimensions[i];
    if (elements > expected.elements) return false;
  }
  if (elements != expected.elements) return false;
  if (expected.channels != kAnySize && facts.dimensions[count - 1] != expected.channels) {
    return false;
  }
  return expected.height == kAnySize || (count == 4 && facts.dimensions[1] == expected.height);
}

bool HasValidQuantization(const TensorFacts &facts) {
  return facts.scale_count == 1 && facts.scale > 0.0f && facts.scale <= FLT_MAX &&
         facts.zero_point >= INT8_MIN && facts.zero_point <= INT8_MAX;
}

// `role` is what messages call the tensor.
bool IsKindRight(const KernelOperator &kernel, const char *role, const TensorFacts &facts) {
  if (facts.exists && !facts.is_constant && facts.type == kTfLiteInt8) return true;
  MicroPrintf("%s: %s must be an int8 activation. Received: %s of type %s", kernel.name, role,
              KindOf(facts), TfLiteTypeGetName(facts.type));
  return false;
}

bool IsShapeRight(const KernelOperator &kernel, const char *role, const TensorFacts &facts,
                  const ExpectedActivation &expected) {
  if (HasShape(facts, expected)) return true;
  MicroPrintf(
      "%s: %s must have a batch of 1, height %d, %d channels and %d elements, where %d is "
      "any. Received: %d dimensions, (%d, %d, %d, %d)",
      kernel.name, role, static_cast<int>(expected.height), static_cast<int>(expected.channels),
      static_cast<int>(expected.elements), static_cast<int>(kAnySize), facts.dimension_count,
      facts.dimensions[0], facts.dimensions[1], facts.dimensions[2], facts.dimensions[3]);
  return false;
}

bool IsQuantizationRight(const KernelOperator &kernel, const char *role, const TensorFacts &facts,
                         const ExpectedActivation &expected) {
  if (!HasValidQuantization(facts)) {
    // The scale is last: where printing does without floats, the other numbers remain.
    MicroPrintf(
        "%s: %s must have one scale, positive, and a zero point of -128 to 127. Received: "
        "%d scales, zero point %d, scale %.9f",
        kernel.name, role, facts.scale_count, static_cast<int>(facts.zero_point),
        static_cast<double>(facts.scale));
    return false;
  }
  if (expected.zero_point == kAnyZeroPoint || facts.zero_point == expected.zero_point) return true;
  MicroPrintf("%s: %s must have the zero point of the options, %d. Received: %d", kernel.name, role,
              static_cast<int>(expected.zero_point), static_cast<int>(facts.zero_point));
  return false;
}

bool IsActivationRight(const KernelOperator &kernel, const char *role, const TensorFacts &facts,
                       const ExpectedActivation &expected) {
  return IsKindRight(kernel, role, facts) && IsShapeRight(kernel, role, facts, expected) &&
         IsQuantizationRight(kernel, role, facts, expected);
}

bool AreActivationsRight(const KernelOperator &kernel, TfLiteContext *context,
                         const TfLiteNode *node, const void *params) {
  TensorFacts inputs[kMostActivations];
  for (int i = 0; i < kernel.activations; ++i) {
    inputs[i] = FactsOfInput(context, node, i);
    if (!IsActivationRight(kernel, "an input", inputs[i], kernel.input(params))) return false;
  }
  const TensorFacts output = FactsOfOutput(context, node);
  return IsActivationRight(kernel, "the output", output, kernel.output(params)) &&
         kernel.are_consistent(params, inputs, output);
}

}  // namespace

void *InitNode(const KernelOperator &kernel, TfLiteContext *context, const char *options,
               std::size_t options_bytes) {
  const std::size_t bytes = sizeof(KernelNode) + kernel.params_bytes;
  void *memory = GetMicroContext(context)->AllocatePersistentBuffer(bytes);
  if (memory == nullptr || options_bytes > INT32_MAX) return nullptr;
  auto *kernel_node = static_cast<KernelNode *>(memory);
  kernel_node->options = reinterpret_cast<const std::uint8_t *>(options);
  kernel_node->options_bytes = static_cast<std::int32_t>(options_bytes);
  kernel_node->buffer = kNoBuffer;
  return kernel_node;
}

TfLiteStatus PrepareNode(const KernelOperator &kernel, TfLiteContext *context, TfLiteNode *node) {
  auto *kernel_node = static_cast<KernelNode *>(node->user_data);
  if (kernel_node == nullptr) {
    MicroPrintf("%s: the arena has no room for the node", kernel.name);
    return kTfLiteError;
  }
  const void *params = ParamsOf(kernel_node);
  if (!HasRightNumbers(kernel, node) || !BindNode(kernel, context, node, kernel_node) ||
      !AreActivationsRight(kernel, context, node, params)) {
    return kTfLiteError;
  }
  const std::int32_t buffer_bytes = kernel.buffer_bytes(params);
  if (buffer_bytes == 0) return kTfLiteOk;
  return GetMicroContext(context)->RequestScratchBufferInArena(
      static_cast<std::size_t>(buffer_bytes), &kernel_node->buffer);
}

TfLiteStatus InvokeNode(const KernelOperator &kernel, TfLiteContext *context, TfLiteNode *node) {
  auto *kernel_node = static_cast<KernelNode *>(node->user_data);
  const std::int8_t *inputs[kMostActivations] = {};
  for (int i = 0; i < kernel.activations; ++i) {
    inputs[i] = static_cast<const std::int8_t *>(GetEvalInput(context, node, i)->data.data);
  }
  auto *output = static_cast<std::int8_t *>(GetEvalOutput(context, node, 0)->data.data);
  void *buffer = nullptr;
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

// SPDX-License-Identifier: Apache-2.0
// What the glue uses of TensorFlow Lite Micro, as the Python package tflite-micro has it inside.
//
// It stands in for the headers of that name, so that the sources of glue/ run in the package's
// interpreter, which comes without headers. Declared is only what they need. The layouts are those
// of 64-bit processors in a build with static memory; wheel_functions.cc has the functions.
#ifndef MICRONET_WHEEL_KERNEL_UTIL_H
#define MICRONET_WHEEL_KERNEL_UTIL_H

#include <cstddef>
#include <cstdint>

namespace tflite {
namespace micro {

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
enum TfLiteType { kTfLiteInt32 = 2, kTfLiteInt16 = 7, kTfLiteInt8 = 9 };
enum TfLiteAllocationType { kTfLiteMmapRo = 1 };
enum TfLiteQuantizationType { kTfLiteAffineQuantization = 1 };

const char *TfLiteTypeGetName(TfLiteType type);

struct TfLiteContext;

struct TfLiteIntArray {
  int size;
  __extension__ int data[];
};

struct TfLiteFloatArray {
  int size;  // that many float follow
};

struct TfLiteAffineQuantization {
  TfLiteFloatArray *scale;
  TfLiteIntArray *zero_point;
  std::int32_t quantized_dimension;
};

struct TfLiteQuantization {
  TfLiteQuantizationType type;
  void *params;
};

struct TfLiteQuantizationParams {
  float scale;
  std::int32_t zero_point;
};

union TfLitePtrUnion {
  void *data;
};

struct TfLiteTensor {
  TfLiteQuantization quantization;
  TfLiteQuantizationParams params;
  TfLitePtrUnion data;
  TfLiteIntArray *dims;
  std::size_t bytes;
  TfLiteType type;
  TfLiteAllocationType allocation_type;
};

struct TfLiteEvalTensor {
  TfLitePtrUnion data;
  TfLiteIntArray *dims;
  TfLiteType type;
};

struct TfLiteNode {
  TfLiteIntArray *inputs;
  TfLiteIntArray *outputs;
  TfLiteIntArray *intermediates;
  void *user_data;
};

struct TFLMRegistration {
  void *(*init)(TfLiteContext *context, const char *buffer, std::size_t length);
  void (*free)(TfLiteContext *context, void *buffer);
  TfLiteStatus (*prepare)(TfLiteContext *context, TfLiteNode *node);
  TfLiteStatus (*invoke)(TfLiteContext *context, TfLiteNode *node);
  void (*reset)(TfLiteContext *context, void *buffer);
  std::int32_t builtin_code;
  const char *custom_name;
};

// The interpreter's own object is behind the pointers; there are no others.
class MicroContext {
 public:
  void *AllocatePersistentBuffer(std::size_t bytes);
  TfLiteStatus RequestScratchBufferInArena(std::size_t bytes, int *index);
  void *GetScratchBuffer(int index);
  TfLiteTensor *AllocateTempInputTensor(const TfLiteNode *node, int index);
  TfLiteTensor *AllocateTempOutputTensor(const TfLiteNode *node, int index);
  void DeallocateTempTfLiteTensor(TfLiteTensor *tensor);
};

struct TfLiteContext {
  MicroContext *implementation;
};

inline MicroContext *GetMicroContext(const TfLiteContext *context) {
  return context->implementation;
}

const TfLiteEvalTensor *GetEvalInput(const TfLiteContext *context, const TfLiteNode *node,
                                     int index);
TfLiteEvalTensor *GetEvalOutput(const TfLiteContext *context, const TfLiteNode *node, int index);

}  // namespace micro
}  // namespace tflite

#endif

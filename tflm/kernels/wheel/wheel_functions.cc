// SPDX-License-Identifier: Apache-2.0
#include "wheel_functions.h"

#include <dlfcn.h>

#include <cstdarg>

#include "tensorflow/lite/micro/micro_log.h"

// The linker does not see the package's library: were its names made global, other libraries of
// the process that contain TensorFlow Lite, too, could be bound to them. So each function is a
// pointer here. A member function takes its object as the first argument, as is usual in Linux.

namespace tflite {
namespace micro {
namespace {

struct Functions {
  void *(*allocate_persistent_buffer)(MicroContext *, std::size_t);
  TfLiteStatus (*request_scratch_buffer)(MicroContext *, std::size_t, int *);
  void *(*get_scratch_buffer)(MicroContext *, int);
  TfLiteTensor *(*allocate_temp_input_tensor)(MicroContext *, const TfLiteNode *, int);
  TfLiteTensor *(*allocate_temp_output_tensor)(MicroContext *, const TfLiteNode *, int);
  void (*deallocate_temp_tensor)(MicroContext *, TfLiteTensor *);
  const TfLiteEvalTensor *(*get_eval_input)(const TfLiteContext *, const TfLiteNode *, int);
  TfLiteEvalTensor *(*get_eval_output)(const TfLiteContext *, const TfLiteNode *, int);
  const TFLMRegistration *(*find_builtin)(const OperatorTable *, std::int32_t);
  const TFLMRegistration *(*find_custom)(const OperatorTable *, const char *);
  const char *(*get_type_name)(TfLiteType);
  void (*print)(const char *, std::va_list);
};

// In the order of Functions. The names tell the arguments' types and the table's capacity, so that
// a package where these have changed does not have them.
constexpr const char *kNames[] = {
    "_ZN6tflite5micro23MicroInterpreterContext24AllocatePersistentBufferEm",
    "_ZN6tflite5micro23MicroInterpreterContext27RequestScratchBufferInArenaEmPi",
    "_ZN6tflite5micro23MicroInterpreterContext16GetScratchBufferEi",
    "_ZN6tflite5micro12MicroContext23AllocateTempInputTensorEPKNS0_10TfLiteNodeEi",
    "_ZN6tflite5micro12MicroContext24AllocateTempOutputTensorEPKNS0_10TfLiteNodeEi",
    "_ZN6tflite5micro23MicroInterpreterContext26DeallocateTempTfLiteTensorEPNS0_12TfLiteTensorE",
    "_ZN6tflite5micro12GetEvalInputEPKNS0_13TfLiteContextEPKNS0_10TfLiteNodeEi",
    "_ZN6tflite5micro13GetEvalOutputEPKNS0_13TfLiteContextEPKNS0_10TfLiteNodeEi",
    "_ZNK6tflite5micro22MicroMutableOpResolverILj200EE6FindOpENS_15BuiltinOperatorE",
    "_ZNK6tflite5micro22MicroMutableOpResolverILj200EE6FindOpEPKc",
    "_ZN6tflite5micro17TfLiteTypeGetNameENS0_10TfLiteTypeE",
    "_Z12VMicroPrintfPKcP13__va_list_tag",
};
constexpr std::size_t kCount = sizeof(kNames) / sizeof(kNames[0]);
static_assert(sizeof(Functions) == kCount * sizeof(void *), "a name for each function");

union {
  void *addresses[kCount];
  Functions functions;
} wheel;

}  // namespace

void *MicroContext::AllocatePersistentBuffer(std::size_t bytes) {
  return wheel.functions.allocate_persistent_buffer(this, bytes);
}

TfLiteStatus MicroContext::RequestScratchBufferInArena(std::size_t bytes, int *index) {
  return wheel.functions.request_scratch_buffer(this, bytes, index);
}

void *MicroContext::GetScratchBuffer(int index) {
  return wheel.functions.get_scratch_buffer(this, index);
}

TfLiteTensor *MicroContext::AllocateTempInputTensor(const TfLiteNode *node, int index) {
  return wheel.functions.allocate_temp_input_tensor(this, node, index);
}

TfLiteTensor *MicroContext::AllocateTempOutputTensor(const TfLiteNode *node, int index) {
  return wheel.functions.allocate_temp_output_tensor(this, node, index);
}

void MicroContext::DeallocateTempTfLiteTensor(TfLiteTensor *tensor) {
  wheel.functions.deallocate_temp_tensor(this, tensor);
}

const char *TfLiteTypeGetName(TfLiteType type) { return wheel.functions.get_type_name(type); }

const TfLiteEvalTensor *GetEvalInput(const TfLiteContext *context, const TfLiteNode *node,
                                     int index) {
  return wheel.functions.get_eval_input(context, node, index);
}

TfLiteEvalTensor *GetEvalOutput(const TfLiteContext *context, const TfLiteNode *node, int index) {
  return wheel.functions.get_eval_output(context, node, index);
}

}  // namespace micro
}  // namespace tflite

using tflite::micro::kCount;
using tflite::micro::kNames;
using tflite::micro::wheel;

const tflite::micro::TFLMRegistration *FindBuiltin(const OperatorTable *table, std::int32_t code) {
  return wheel.functions.find_builtin(table, code);
}

const tflite::micro::TFLMRegistration *FindCustom(const OperatorTable *table, const char *name) {
  return wheel.functions.find_custom(table, name);
}

void MicroPrintf(const char *format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  wheel.functions.print(format, arguments);
  va_end(arguments);
}

const char *micronet_connect(const char *library_path) {
  void *library = dlopen(library_path, RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return library_path;
  for (std::size_t i = 0; i < kCount; ++i) {
    wheel.addresses[i] = dlsym(library, kNames[i]);
    if (wheel.addresses[i] == nullptr) return kNames[i];
  }
  return nullptr;
}

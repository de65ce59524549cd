// SPDX-License-Identifier: Apache-2.0
// Measures a model in a user's TensorFlow Lite Micro on an emulated processor, for tflite_micro.py,
// which compiles it together with MODEL_HEADER: the model's bytes and the operators it needs.
//
// The output is: bytes of the arena, int32; instructions of one image, uint64; the model's own
// output.
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <new>

#include MODEL_HEADER
#include "tensorflow/lite/micro/debug_log.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"

extern "C" {
#include "host.h"
#include "instruction_counter.h"
}

namespace {

constexpr std::size_t kArenaBytes = 8u << 20;  // more than any device has: what is used is told

__attribute__((section(".bulk"), aligned(16))) uint8_t arena[kArenaBytes];

void Stop(const char *what) {
  host_print(what);
  host_exit(1);
}

void Invoke(void *interpreter) {
  if (static_cast<tflite::MicroInterpreter *>(interpreter)->Invoke() != kTfLiteOk) {
    Stop("TensorFlow Lite Micro cannot run the model\n");
  }
}

void Write(const void *value, std::size_t bytes) { host_write(value, bytes); }

}  // namespace

extern "C" void DebugLog(const char *format, std::va_list) { host_print(format); }

extern "C" int DebugVsnprintf(char *buffer, std::size_t size, const char *, std::va_list) {
  if (size > 0) buffer[0] = '\0';
  return 0;
}

int main() {
  // Never destroyed: there is nothing to return to.
  alignas(OpResolver) static unsigned char operators_room[sizeof(OpResolver)];
  OpResolver &operators = *new (operators_room) OpResolver;
  if (AddOperators(operators) != kTfLiteOk) Stop("an operator cannot be registered\n");
  alignas(tflite::MicroInterpreter) static unsigned char room[sizeof(tflite::MicroInterpreter)];
  tflite::MicroInterpreter &interpreter = *new (room) tflite::MicroInterpreter(
      tflite::GetModel(kModel), operators, arena, sizeof(arena));
  if (interpreter.AllocateTensors() != kTfLiteOk) Stop("the model cannot be prepared\n");
  host_read(interpreter.input(0)->data.int8, interpreter.input(0)->bytes);
  const uint64_t instructions = instruction_counter_measure(Invoke, &interpreter);
  const int32_t arena_bytes = static_cast<int32_t>(interpreter.arena_used_bytes());
  Write(&arena_bytes, sizeof(arena_bytes));
  Write(&instructions, sizeof(instructions));
  Write(interpreter.output(0)->data.int8, interpreter.output(0)->bytes);
  return 0;
}

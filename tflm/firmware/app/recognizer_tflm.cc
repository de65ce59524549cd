// SPDX-License-Identifier: Apache-2.0
// The model in TensorFlow Lite Micro's interpreter, which takes the image as a whole: its rows are
// collected in the input tensor. The interpreter and its operators live in static memory and are
// never destroyed: nothing here takes memory from a heap.
#include "recognizer.h"

#include <cstdarg>
#include <cstring>
#include <new>

#include "application_settings.h"
#include "crc32.h"
#include "error_responder.h"
#include "model_data.h"
#include "op_resolver.h"
#include "platform.h"
#include "tensorflow/lite/micro/debug_log.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"
#include "tensorflow_lite_micro_log.h"

namespace micronet {
namespace {

constexpr int kImageRank = 4;  // batch, height, width, channels
constexpr std::size_t kSentenceBytes = 256;

// Room for an object that is made later.
template <typename Object>
struct Room {
  alignas(Object) unsigned char bytes[sizeof(Object)];
};

alignas(16) MICRONET_ARENA_PLACE uint8_t arena[ChosenArenaBytes(kArenaBytes)];
Room<OpResolver> operators_room;
Room<tflite::MicroInterpreter> interpreter_room;
char sentence[kSentenceBytes];

TfLiteTensor *input = nullptr;
TfLiteTensor *output = nullptr;
int32_t row_bytes = 0;
int32_t rows = 0;         // of an image
int32_t rows_pushed = 0;  // of this one

// Once it has been made.
tflite::MicroInterpreter &Interpreter() {
  return *std::launder(reinterpret_cast<tflite::MicroInterpreter *>(interpreter_room.bytes));
}

// Makes `sentence` of a format of printf, without floating-point numbers.
const char *Sentence(const char *format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  DebugVsnprintf(sentence, sizeof(sentence), format, arguments);
  va_end(arguments);
  return sentence;
}

// Before the interpreter reads the model, which it does not check.
const char *CheckModelData() {
  if (kModelDataLength != static_cast<std::size_t>(kModelBytes)) {
    return Sentence("the model's data must have %d bytes, as in model_settings.h. Received: %zu",
                    kModelBytes, kModelDataLength);
  }
  const uint32_t identifier = Crc32(kModelData, kModelBytes);
  if (identifier != kModelIdentifier) {
    return Sentence("the model's data must have the CRC-32 of model_settings.h, %lx. Received: %lx",
                    static_cast<unsigned long>(kModelIdentifier),
                    static_cast<unsigned long>(identifier));
  }
  const unsigned long version = tflite::GetModel(kModelData)->version();
  if (version != TFLITE_SCHEMA_VERSION) {
    return Sentence("the model's schema must be of version %d. Received: version %lu",
                    TFLITE_SCHEMA_VERSION, version);
  }
  return nullptr;
}

const char *CheckTensors() {
  if (Interpreter().inputs_size() != 1 || Interpreter().outputs_size() != 1) {
    return Sentence("the model must have 1 input and 1 output. Received: %zu and %zu",
                    Interpreter().inputs_size(), Interpreter().outputs_size());
  }
  input = Interpreter().input(0);
  output = Interpreter().output(0);
  if (input->type != kTfLiteInt8 || output->type != kTfLiteInt8) {
    return Sentence("the model's input and output must be int8. Received: %s and %s",
                    TfLiteTypeGetName(input->type), TfLiteTypeGetName(output->type));
  }
  if (input->dims->size != kImageRank || input->dims->data[0] != 1) {
    return Sentence("the model's input must be one image, of rank %d. Received: rank %d, %zu bytes",
                    kImageRank, input->dims->size, input->bytes);
  }
  rows = input->dims->data[1];
  row_bytes = input->dims->data[2] * input->dims->data[3];
  return nullptr;
}

// A sentence about what failed, with the interpreter's reason if it has given one.
const char *Failure(const char *what) {
  const char *reason = FirstMessage();
  return Sentence("TensorFlow Lite Micro %s%s%s", what, reason[0] == '\0' ? "" : ": ", reason);
}

// Makes the interpreter and lets it share out the arena.
const char *PrepareModel() {
  ForgetMessages();
  auto *operators = new (operators_room.bytes) OpResolver;
  if (AddOperators(*operators) != kTfLiteOk) return Failure("cannot register the operators");
  new (interpreter_room.bytes)
      tflite::MicroInterpreter(tflite::GetModel(kModelData), *operators, arena, sizeof(arena));
  return Interpreter().AllocateTensors() == kTfLiteOk ? nullptr
                                                      : Failure("cannot prepare the model");
}

}  // namespace

void EndAfterHalt() {
  RespondError("model", Failure("has stopped"));
  PlatformExit(1);
}

int32_t ArenaBytes() { return sizeof(arena); }

// Measured where pointers have 64 bits. With 32 the interpreter uses less in the end, but more for
// a while, and where there is no room some of its operators follow null pointers.
int32_t NeededArenaBytes() { return kArenaBytes; }

const char *StartRecognizer(ModelDescription *model) {
  const char *message = CheckModelData();
  if (message == nullptr) message = PrepareModel();
  if (message == nullptr) message = CheckTensors();
  if (message != nullptr) return message;
  model->runtime = "tflm";
  model->identifier = kModelIdentifier;  // that of kModelData, as CheckModelData has found
  model->input_height = rows;
  model->input_width = input->dims->data[2];
  model->input_channels = input->dims->data[3];
  model->output_size = static_cast<int32_t>(output->bytes);
  model->arena_bytes = static_cast<int32_t>(Interpreter().arena_used_bytes());
  return nullptr;
}

const char *BeginImage() {
  rows_pushed = 0;
  return nullptr;
}

const char *PushImageRow(const int8_t *row) {
  if (rows_pushed == rows)
    return Sentence("an image must have %d rows. Received: one more", static_cast<int>(rows));
  std::memcpy(input->data.int8 + rows_pushed * row_bytes, row, static_cast<std::size_t>(row_bytes));
  ++rows_pushed;
  return nullptr;
}

const char *RecognizeImage(const int8_t **scores) {
  if (rows_pushed != rows) {
    return Sentence("an image must have %d rows. Received: %d", static_cast<int>(rows),
                    static_cast<int>(rows_pushed));
  }
  rows_pushed = 0;  // the input's memory is used for other activations, too
  ForgetMessages();
  if (Interpreter().Invoke() != kTfLiteOk) return Failure("cannot run the model");
  *scores = output->data.int8;
  return nullptr;
}

}  // namespace micronet

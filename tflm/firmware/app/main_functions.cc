// SPDX-License-Identifier: Apache-2.0
#include "main_functions.h"

#include "application_settings.h"
#include "image_provider.h"
#include "image_resizer.h"
#include "platform.h"
#include "recognition_responder.h"
#include "recognizer.h"

namespace micronet {
namespace {

constexpr int kFailure = 1;

ImageResizerMemory<kInputWidth, kInputHeight, kLargestShrink, kInputChannels> resizer_memory;
ImageResizer resizer(&resizer_memory);
alignas(4) int8_t input_row[kInputWidth * kInputChannels];
uint64_t image_cycles;

// Ends the program if there is an error.
void RequireModel(const char *error) {
  if (error == nullptr) return;
  RespondError("model", error);
  PlatformExit(kFailure);
}

void RequireArena() {
  if (ArenaBytes() >= NeededArenaBytes()) return;
  RespondError("arena", "needs # bytes, has #", {NeededArenaBytes(), ArenaBytes()});
  PlatformExit(kFailure);
}

void RequireEqual(const char *sentence, int64_t settings, int64_t model) {
  if (settings == model) return;
  RespondError("model", sentence, {settings, model});
  PlatformExit(kFailure);
}

// Files of different exports must not meet in one program.
void RequireSettingsOf(const ModelDescription &model) {
  RequireEqual("identifier must be that of model_settings.h, #, received #", kModelIdentifier,
               model.identifier);
  RequireEqual("input height must be that of model_settings.h, #, received #", kInputHeight,
               model.input_height);
  RequireEqual("input width must be that of model_settings.h, #, received #", kInputWidth,
               model.input_width);
  RequireEqual("input channels must be those of model_settings.h, #, received #", kInputChannels,
               model.input_channels);
  RequireEqual("scores must be as many as in model_settings.h, #, received #", kClassCount,
               model.output_size);
}

// Calls a function of the recognizer, whose cycles count.
template <typename Function>
void Recognizer(Function function) {
  const uint64_t before = PlatformCycles();
  const char *error = function();
  image_cycles += PlatformCycles() - before;
  RequireModel(error);
}

void Begin(const FramePart &part) {
  image_cycles = 0;
  resizer.Begin(part.width, part.height);
  Recognizer([] { return BeginImage(); });
}

void Push(const uint8_t *frame_row) {
  resizer.Push(frame_row);
  while (const uint8_t *row = resizer.NextRow()) {
    ConvertRow(row, input_row);
    Recognizer([] { return PushImageRow(input_row); });
  }
}

Recognition Recognize() {
  const int8_t *scores = nullptr;
  Recognizer([&scores] { return RecognizeImage(&scores); });
  return {scores, image_cycles};
}

}  // namespace

void Setup() {
  RequireArena();
  ModelDescription model;
  RequireModel(StartRecognizer(&model));
  RequireSettingsOf(model);
  RespondReady(model);
}

void Loop() {
  const FramePart part = NextFramePart();
  switch (part.kind) {
    case FramePart::Kind::kNothing:
      return;
    case FramePart::Kind::kBegin:
      Begin(part);
      break;
    case FramePart::Kind::kRow:
      Push(part.row);
      break;
    case FramePart::Kind::kLastRow:
      Push(part.row);
      AnswerLastRow(Recognize());
      return;
  }
  AnswerFramePart();
}

}  // namespace micronet

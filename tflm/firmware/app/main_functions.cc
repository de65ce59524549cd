// SPDX-License-Identifier: Apache-2.0
#include "main_functions.h"

#include "application_settings.h"
#include "image_provider.h"
#include "micronet_image_resizer.h"
#include "model_start.h"
#include "platform.h"
#include "recognition_responder.h"
#include "recognizer.h"

namespace micronet {
namespace {

static_assert(kInputWidth <= MICRONET_IMAGE_RESIZER_MOST_SIZE &&
                  kInputHeight <= MICRONET_IMAGE_RESIZER_MOST_SIZE &&
                  kLargestShrink <= MICRONET_IMAGE_RESIZER_MOST_SHRINK,
              "Sizes must be those that the resizer takes.");

alignas(4) uint8_t
    resizer_memory[MICRONET_IMAGE_RESIZER_BYTES(kInputWidth, kInputChannels, kLargestShrink)];
micronet_image_resizer resizer;
alignas(4) int8_t input_row[kInputWidth * kInputChannels];
uint64_t image_cycles;

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
  micronet_image_resizer_begin(&resizer, part.width, part.height);
  Recognizer([] { return BeginImage(); });
}

void Push(const uint8_t *frame_row) {
  micronet_image_resizer_push(&resizer, frame_row);
  while (const uint8_t *row = micronet_image_resizer_next_row(&resizer)) {
    ConvertRow(row, input_row);
    Recognizer([] { return PushImageRow(input_row); });
  }
}

Recognition Recognize() {
  const int8_t *scores = nullptr;
  Recognizer([&scores] { return RecognizeImage(&scores); });
  return {scores, image_cycles, resizer.left, resizer.top, resizer.part_width, resizer.part_height};
}

}  // namespace

void Setup() {
  const ModelDescription model = StartModel();
  // Sizes and memory are constants that fit.
  micronet_image_resizer_init(&resizer, kInputWidth, kInputHeight, kInputChannels, kLargestShrink,
                              resizer_memory, sizeof(resizer_memory));
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

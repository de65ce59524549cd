// SPDX-License-Identifier: Apache-2.0
// Frames from the program's own memory, with the scores that must come out, and what must be found
// in them: says whether a device
// computes right before anything is connected to it. Ends the program, with status 0 if all scores
// were right.
#include "application_settings.h"
#include "expected_answer.h"
#include "image_provider.h"
#include "platform.h"
#include "test_vectors.h"
#include "text_output.h"

namespace micronet {
namespace {

static_assert(kTestInputSize == kInputSize && kTestOutputSize == kScoreCount,
              "test_vectors.h must be of the model of model_settings.h.");

constexpr int32_t kBeforeFirstRow = -1;

int32_t image = 0;
int32_t row = kBeforeFirstRow;
int32_t right_images = 0;

bool HasExpectedScores(const int8_t *scores) {
  const int8_t *expected = kTestOutputs[image];
  for (int32_t i = 0; i < kScoreCount; ++i) {
    if (scores[i] != expected[i]) {
      RespondError("vector", "score # of test vector # must be #, received #",
                   {i, image, expected[i], scores[i]});
      return false;
    }
  }
  return true;
}

[[noreturn]] void End() {
  WriteTextWithNumbers("ok vectors right=# of=#", {right_images, kTestVectorCount});
  EndLine();
  PlatformExit(right_images == kTestVectorCount ? 0 : 1);
}

}  // namespace

FramePart NextFramePart() {
  if (image == kTestVectorCount) End();
  if (row == kBeforeFirstRow) {
    return {FramePart::Kind::kBegin, kInputWidth, kInputHeight, nullptr};
  }
  const bool is_last = row == kInputHeight - 1;
  return {is_last ? FramePart::Kind::kLastRow : FramePart::Kind::kRow, 0, 0,
          kTestFrames[image] + row * kInputWidth * kChannels};
}

void AnswerFramePart() { ++row; }

void AnswerLastRow(const Recognition &recognition) {
  RespondRecognition(recognition);
  if (HasExpectedScores(recognition.scores) && IsExpectedAnswer(image, recognition)) {
    ++right_images;
  }
  row = kBeforeFirstRow;
  ++image;
}

}  // namespace micronet

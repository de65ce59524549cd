// SPDX-License-Identifier: Apache-2.0
// A provider of one's own, as short as one can be: three pictures of the model's size, drawn row by
// row where a camera would deliver them. Ends the program.
#include "application_settings.h"
#include "image_provider.h"
#include "platform.h"
#include "stripes.h"

namespace micronet {
namespace {

constexpr int32_t kPictures = 3;
constexpr int32_t kBeforeFirstRow = -1;

int32_t picture = 0;
int32_t row = kBeforeFirstRow;
uint8_t pixels[kInputWidth * kChannels];

}  // namespace

FramePart NextFramePart() {
  if (picture == kPictures) PlatformExit(0);
  if (row == kBeforeFirstRow) {
    return {FramePart::Kind::kBegin, kInputWidth, kInputHeight, nullptr};
  }
  DrawStripes(picture, row, kInputWidth, pixels);
  const bool is_last = row == kInputHeight - 1;
  return {is_last ? FramePart::Kind::kLastRow : FramePart::Kind::kRow, 0, 0, pixels};
}

void AnswerFramePart() { ++row; }

void AnswerLastRow(const Recognition &recognition) {
  RespondRecognition(recognition);
  row = kBeforeFirstRow;
  ++picture;
}

}  // namespace micronet

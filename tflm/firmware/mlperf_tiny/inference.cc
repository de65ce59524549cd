// SPDX-License-Identifier: Apache-2.0
#include "inference.h"

#include <cmath>

#include "micronet_scores.h"
#include "model_settings.h"
#include "model_start.h"
#include "recognizer.h"

namespace micronet {
namespace {

constexpr int32_t kRowBytes = kInputWidth * kInputChannels;
constexpr double kOneInQ24 = 1 << 24;

alignas(4) int8_t input[kInputSize];
uint32_t exponentials[MICRONET_EXPONENTIALS];
uint16_t probabilities[kClassCount];
bool has_probabilities = false;

}  // namespace

void StartInference() {
  StartModel();
  for (int32_t i = 0; i < MICRONET_EXPONENTIALS; ++i) {
    const double exponential = std::exp(-i * static_cast<double>(kOutputScale));
    exponentials[i] = static_cast<uint32_t>(exponential * kOneInQ24 + 0.5);
  }
}

void LoadInput(const uint8_t *pixels) { ConvertFrame(pixels, input); }

void Infer() {
  RequireModel(BeginImage());
  for (int32_t y = 0; y < kInputHeight; ++y) RequireModel(PushImageRow(input + y * kRowBytes));
  const int8_t *scores = nullptr;
  RequireModel(RecognizeImage(&scores));
  micronet_probabilities(scores, kClassCount, exponentials, probabilities);
  has_probabilities = true;
}

const uint16_t *Probabilities() { return has_probabilities ? probabilities : nullptr; }

}  // namespace micronet

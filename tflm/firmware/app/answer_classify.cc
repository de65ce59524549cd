// SPDX-License-Identifier: Apache-2.0
// One class an image: that of the largest score, the first of them if several are as large.
#include "answer.h"
#include "model_settings.h"
#include "text_output.h"

namespace micronet {
namespace {

int32_t IndexOfLargest(const int8_t *scores) {
  int32_t index = 0;
  for (int32_t i = 1; i < kClassCount; ++i) {
    if (scores[i] > scores[index]) index = i;
  }
  return index;
}

double RealValue(int8_t score) {
  return static_cast<double>(kOutputScale) * (score - kOutputZeroPoint);
}

}  // namespace

void WriteTask() {}

void WriteAnswer(const Recognition &recognition) {
  const int8_t *scores = recognition.scores;
  const int32_t index = IndexOfLargest(scores);
  WriteTextWithNumbers("class=# name=", {index});
  WritePercentEncoded(kClassNames[index]);
  WriteText(" score=");
  WriteReal(RealValue(scores[index]));
}

void WriteAnswerDetails(const Recognition &recognition) {
  const int8_t *scores = recognition.scores;
  WriteTextWithNumbers(" scores=#", {scores[0]});
  for (int32_t i = 1; i < kClassCount; ++i) WriteTextWithNumbers(",#", {scores[i]});
}

}  // namespace micronet

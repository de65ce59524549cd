// SPDX-License-Identifier: Apache-2.0
#include "recognition_responder.h"

#include "model_settings.h"
#include "text_output.h"

namespace micronet {
namespace {

ModelDescription described_model;

void WriteModel(const ModelDescription &model) {
  WriteText(" model=");
  WriteHexadecimal(model.identifier);
  WriteTextWithNumbers(" input=#x# channels=# classes=# arena=# runtime=",
                       {model.input_width, model.input_height, model.input_channels,
                        model.output_size, model.arena_bytes});
  WriteText(model.runtime);
  EndLine();
}

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

void RespondReady(const ModelDescription &model) {
  described_model = model;
  WriteText("ready");
  WriteModel(described_model);
}

void RespondInformation() {
  WriteText("info");
  WriteModel(described_model);
}

void RespondBegin() {
  WriteText("ok begin");
  EndLine();
}

void RespondRow(int32_t index) {
  WriteTextWithNumbers("ok row #", {index});
  EndLine();
}

void RespondRecognition(const Recognition &recognition) {
  const int8_t *scores = recognition.scores;
  const int32_t index = IndexOfLargest(scores);
  WriteTextWithNumbers("result class=# name=", {index});
  WritePercentEncoded(kClassNames[index]);
  WriteText(" score=");
  WriteReal(RealValue(scores[index]));
  WriteTextWithNumbers(" cycles=# arena=# scores=#", {static_cast<int64_t>(recognition.cycles),
                                                      described_model.arena_bytes, scores[0]});
  for (int32_t i = 1; i < kClassCount; ++i) WriteTextWithNumbers(",#", {scores[i]});
  EndLine();
}

void RespondError(const char *code, const char *sentence, std::initializer_list<int64_t> numbers) {
  WriteText("error ");
  WriteText(code);
  WriteText(" ");
  WriteTextWithNumbers(sentence, numbers);
  EndLine();
}

}  // namespace micronet

// SPDX-License-Identifier: Apache-2.0
#include "recognition_responder.h"

#include "answer.h"
#include "model_settings.h"
#include "text_output.h"

namespace micronet {
namespace {

ModelDescription described_model;

void WriteModel(const ModelDescription &model) {
  WriteText(" model=");
  WriteHexadecimal(model.identifier);
  WriteTextWithNumbers(" input=#x# channels=# classes=# arena=# runtime=",
                       {model.input_width, model.input_height, model.input_channels, kClassCount,
                        model.arena_bytes});
  WriteText(model.runtime);
  WriteTask();
  EndLine();
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
  WriteText("result ");
  WriteAnswer(recognition);
  WriteTextWithNumbers(" cycles=# arena=#",
                       {static_cast<int64_t>(recognition.cycles), described_model.arena_bytes});
  WriteAnswerDetails(recognition);
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

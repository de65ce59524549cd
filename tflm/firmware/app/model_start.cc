// SPDX-License-Identifier: Apache-2.0
#include "model_start.h"

#include "application_settings.h"
#include "error_responder.h"
#include "platform.h"

namespace micronet {
namespace {

constexpr int kFailure = 1;

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
  RequireEqual("scores must be as many as in model_settings.h, #, received #", kScoreCount,
               model.output_size);
}

}  // namespace

ModelDescription StartModel() {
  RequireArena();
  ModelDescription model;
  RequireModel(StartRecognizer(&model));
  RequireSettingsOf(model);
  return model;
}

void RequireModel(const char *error) {
  if (error == nullptr) return;
  RespondError("model", error);
  PlatformExit(kFailure);
}

}  // namespace micronet

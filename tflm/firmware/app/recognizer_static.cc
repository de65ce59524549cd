// SPDX-License-Identifier: Apache-2.0
// The model as a C library of its own, which takes the image row by row.
#include "recognizer.h"

#include "application_settings.h"
#include "micronet_model_rows.h"

namespace micronet {
namespace {

alignas(16) MICRONET_ARENA_PLACE uint8_t arena[ChosenArenaBytes(MICRONET_MODEL_ROWS_ARENA_BYTES)];

const char *MessageOf(micronet_status status) {
  return status == MICRONET_OK ? nullptr : micronet_status_message(status);
}

}  // namespace

int32_t NeededArenaBytes() { return micronet_model_rows_arena_size(); }

int32_t ArenaBytes() { return sizeof(arena); }

const char *StartRecognizer(ModelDescription *model) {
  model->runtime = "static";
  model->identifier = micronet_model_identifier;
  model->input_height = MICRONET_MODEL_INPUT_HEIGHT;
  model->input_width = MICRONET_MODEL_INPUT_WIDTH;
  model->input_channels = MICRONET_MODEL_INPUT_CHANNELS;
  model->output_size = MICRONET_MODEL_OUTPUT_BYTES;
  model->arena_bytes = MICRONET_MODEL_ROWS_ARENA_BYTES;
  return MessageOf(micronet_model_rows_init(arena, sizeof(arena)));
}

const char *BeginImage() { return MessageOf(micronet_model_rows_begin(arena)); }

const char *PushImageRow(const int8_t *row) {
  return MessageOf(micronet_model_rows_push(arena, row));
}

const char *RecognizeImage(const int8_t **scores) {
  const micronet_status status = micronet_model_rows_run(arena);
  *scores = micronet_model_rows_output(arena);
  return MessageOf(status);
}

}  // namespace micronet

/* SPDX-License-Identifier: Apache-2.0 */
#include "camera_example.h"

#include <stddef.h>

#include "micronet_camera_lines.h"
#include "micronet_model_rows.h"
#include "model_settings.h"

/* What the camera gives: to be set as it is set. */
#if !defined(CAMERA_FORMAT)
#define CAMERA_FORMAT micronet_pixels_rgb565_high_byte_first
#define CAMERA_BYTES_PER_PIXEL 2
#define CAMERA_WIDTH 320
#define CAMERA_HEIGHT 240
#define CAMERA_LINE_BUFFERS 2
#endif

enum {
  CAMERA_LINE_BYTES = CAMERA_WIDTH * CAMERA_BYTES_PER_PIXEL,
  LINES_BYTES = MICRONET_CAMERA_LINES_BYTES(CAMERA_WIDTH, CAMERA_HEIGHT, kInputWidth, kInputHeight,
                                            kInputChannels)
};

/* All the memory that it takes, besides the stack. Lines are at multiples of 32 bytes, so that
 * caches can be told of one. */
__attribute__((aligned(
    32))) static uint8_t line_buffers[CAMERA_LINE_BUFFERS][(CAMERA_LINE_BYTES + 31) / 32 * 32];
__attribute__((aligned(4))) static uint8_t lines_memory[LINES_BYTES];
__attribute__((aligned(4))) static int8_t input_row[kInputWidth * kInputChannels];
__attribute__((aligned(16))) static uint8_t arena[MICRONET_MODEL_ROWS_ARENA_BYTES];
static micronet_camera_lines lines;

const char *camera_example_start(void) {
  const micronet_camera_settings settings = {&CAMERA_FORMAT,      CAMERA_WIDTH, CAMERA_HEIGHT,
                                             CAMERA_LINE_BUFFERS, kInputWidth,  kInputHeight,
                                             kInputChannels,      lines_memory, LINES_BYTES};
  const micronet_status status = micronet_model_rows_init(arena, sizeof(arena));
  if (status != MICRONET_OK) return micronet_status_message(status);
  return micronet_camera_lines_init(&lines, &settings);
}

uint8_t *camera_example_line_buffer(int32_t index) { return line_buffers[index]; }

camera_example_counters camera_example_count(void) {
  const camera_example_counters counters = {lines.frames, lines.overruns, lines.short_frames};
  return counters;
}

const micronet_image_resizer *camera_example_resizer(void) { return &lines.resizer; }

void camera_example_frame_interrupt(void) { micronet_camera_lines_frame_start(&lines); }

void camera_example_line_interrupt(int32_t index) {
  micronet_camera_lines_line_ready(&lines, line_buffers[index]);
}

/* The statuses cannot be other than MICRONET_OK: calls are in the right order, and the arena was
 * accepted at the start. */
static void push(const uint8_t *row) {
  ConvertRow(row, input_row);
  micronet_model_rows_push(arena, input_row);
}

const int8_t *camera_example_step(void) {
  const uint8_t *row;
  switch (micronet_camera_lines_take(&lines, &row)) {
    case MICRONET_CAMERA_NOTHING: /* here a processor may sleep until the next interrupt */
      break;
    case MICRONET_CAMERA_BEGIN:
      micronet_model_rows_begin(arena);
      break;
    case MICRONET_CAMERA_ROW:
      push(row);
      break;
    case MICRONET_CAMERA_LAST_ROW:
      push(row);
      micronet_model_rows_run(arena);
      return micronet_model_rows_output(arena);
  }
  return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Counts the instructions that each line of a camera takes until the model has its rows, for
 * benchmarks/pixel_rows.py.
 *
 * The input is a frame of FRAME_WIDTH x FRAME_HEIGHT pixels in the format FORMAT. The output is,
 * for the second time that the frame comes, uint64 each: for every line the conversion alone, then
 * for every line all that it causes, then what is left after the last row; and the scores; and the
 * rows of the input, as RGB888. */
#include "host.h"
#include "instruction_counter.h"
#include "micronet_camera_lines.h"
#include "micronet_model_rows.h"
#include "model_settings.h"

enum {
  LINE_BYTES = BYTES_PER_PIXEL * FRAME_WIDTH,
  LINES_BYTES = MICRONET_CAMERA_LINES_BYTES(FRAME_WIDTH, FRAME_HEIGHT, kInputWidth, kInputHeight,
                                            kInputChannels)
};

static uint8_t frame[FRAME_HEIGHT][LINE_BYTES] __attribute__((section(".bulk")));
static uint8_t arena[MICRONET_MODEL_ROWS_ARENA_BYTES]
    __attribute__((section(".bulk"), aligned(16)));
static uint8_t memory[LINES_BYTES] __attribute__((aligned(4)));
static uint8_t pixels[3 * FRAME_WIDTH];
static int8_t input[kInputWidth * kInputChannels] __attribute__((aligned(4)));
static micronet_camera_lines lines;
static uint64_t conversions[FRAME_HEIGHT], all[FRAME_HEIGHT];

static void convert(void *line) {
  const micronet_image_resizer *resizer = &lines.resizer;
  (resizer->channels == 1 ? lines.format->to_gray : lines.format->to_rgb888)(
      line, FRAME_WIDTH, resizer->left, resizer->part_width, pixels);
}

static void take(void *line) {
  micronet_camera_lines_line_ready(&lines, line);
  for (;;) {
    const uint8_t *row;
    switch (micronet_camera_lines_take(&lines, &row)) {
      case MICRONET_CAMERA_NOTHING:
        return;
      case MICRONET_CAMERA_BEGIN:
        micronet_model_rows_begin(arena);
        break;
      case MICRONET_CAMERA_ROW:
      case MICRONET_CAMERA_LAST_ROW:
        ConvertRow(row, input);
        micronet_model_rows_push(arena, input);
        break;
    }
  }
}

static void run(void *status) { *(micronet_status *)status = micronet_model_rows_run(arena); }

static void write_rows(const uint8_t *line) {
  const uint8_t *row;
  micronet_camera_part part;
  micronet_camera_lines_line_ready(&lines, line);
  while ((part = micronet_camera_lines_take(&lines, &row)) != MICRONET_CAMERA_NOTHING) {
    if (part != MICRONET_CAMERA_BEGIN) host_write(row, sizeof(input));
  }
}

int main(void) {
  const micronet_camera_settings settings = {&FORMAT,     FRAME_WIDTH,  FRAME_HEIGHT,   2,
                                             kInputWidth, kInputHeight, kInputChannels, memory,
                                             LINES_BYTES};
  uint64_t rest = 0;
  host_read(frame, sizeof(frame));
  if (micronet_model_rows_init(arena, sizeof(arena)) != MICRONET_OK) return 1;
  if (micronet_camera_lines_init(&lines, &settings) != 0) return 2;
  for (int time = 0; time < 2; ++time) {
    micronet_camera_lines_frame_start(&lines);
    for (int32_t y = 0; y < FRAME_HEIGHT; ++y) {
      conversions[y] = instruction_counter_measure(convert, frame[y]);
      all[y] = instruction_counter_measure(take, frame[y]);
    }
    micronet_status status;
    rest = instruction_counter_measure(run, &status);
    if (status != MICRONET_OK) return 3;
  }
  host_write(conversions, sizeof(conversions));
  host_write(all, sizeof(all));
  host_write(&rest, sizeof(rest));
  host_write(micronet_model_rows_output(arena), kClassCount);
  micronet_camera_lines_frame_start(&lines);
  for (int32_t y = 0; y < FRAME_HEIGHT; ++y) write_rows(frame[y]);
  return lines.frames == 3 && lines.overruns == 0 ? 0 : 4;
}

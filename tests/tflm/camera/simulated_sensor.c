/* SPDX-License-Identifier: Apache-2.0 */
/* A camera that delivers lines at its own pace to camera_example.c, and a model that takes as long
 * as it is told; what happens when is the same in every run.
 *
 * Time is counted in pixels of the sensor. While the program works, the sensor goes on: it writes
 * pixel after pixel into the line buffers, in turn and without asking, and calls the interrupts.
 * That happens within the conversion of a line, too, half of which is read before and half after.
 *
 * The input is the settings below, numbers of 32 bits, and the frames: CAMERA_HEIGHT rows of
 * CAMERA_WIDTH pixels each. The output is for each image its scores, kClassCount bytes, and at last
 * the three counters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../../benchmarks/all_pixel_formats.h"

#include "camera_example.h"
#include "micronet_camera_lines.h"
#include "micronet_model_rows.h"
#include "model_settings.h"

static struct {
  int32_t format;    /* index of the list below */
  int32_t frames;    /* how many there are */
  int32_t line_gap;  /* pixels between two lines */
  int32_t frame_gap; /* pixels between two frames */
  int32_t conversion_time;
  int32_t push_time;
  int32_t run_time;
  int32_t is_irregular; /* the times are the most that there can be */
  int32_t short_frame;  /* that ends early; -1: none */
  int32_t short_lines;
} settings;

static uint8_t *frames;
static int32_t frame, line, pixel, buffer; /* where the sensor is */
static uint32_t state = 1;                 /* of the irregular times */

static void require(bool condition) {
  if (!condition) exit(EXIT_FAILURE);
}

static int32_t bytes_per_pixel(void) { return formats[settings.format]->bytes_per_pixel; }

static bool is_off(void) { return frame == settings.frames; }

static int32_t lines_of_frame(void) {
  return frame == settings.short_frame ? settings.short_lines : CAMERA_HEIGHT;
}

static void send_pixel(void) {
  const int32_t bytes = bytes_per_pixel();
  const int32_t row = frame * CAMERA_HEIGHT + line;
  memcpy(camera_example_line_buffer(buffer) + pixel * bytes,
         frames + (row * CAMERA_WIDTH + pixel) * bytes, (size_t)bytes);
}

/* A pixel's time passes. */
static void tick(void) {
  const int32_t line_time = CAMERA_WIDTH + settings.line_gap;
  if (is_off()) return;
  if (line < lines_of_frame() && pixel < CAMERA_WIDTH) {
    if (line == 0 && pixel == 0) camera_example_frame_interrupt();
    send_pixel();
    if (pixel == CAMERA_WIDTH - 1) {
      const int32_t filled = buffer;
      buffer = (buffer + 1) % CAMERA_LINE_BUFFERS;
      camera_example_line_interrupt(filled);
    }
  }
  ++pixel;
  if (line < lines_of_frame()) {
    if (pixel < line_time) return;
    ++line;
    pixel = 0;
    if (line < lines_of_frame()) return;
  }
  if (pixel < settings.frame_gap) return;
  ++frame;
  line = 0;
  pixel = 0;
}

static void pass(int32_t time) {
  if (settings.is_irregular && time > 0) {
    state = state * 1664525u + 1013904223u;
    time = (int32_t)((state >> 8) % ((uint32_t)time + 1));
  }
  while (time-- > 0) tick();
}

/* The conversions of the chosen format, during which time passes. */
static void convert(micronet_pixel_row *function, int32_t channels, const uint8_t *row,
                    int32_t row_width, int32_t left, int32_t width, uint8_t *pixels) {
  const int32_t half = width / 2;
  pass(settings.conversion_time / 2);
  function(row, row_width, left, half, pixels);
  pass(settings.conversion_time - settings.conversion_time / 2);
  function(row, row_width, left + half, width - half, pixels + channels * half);
}

static void to_rgb888(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                      uint8_t *pixels) {
  convert(formats[settings.format]->to_rgb888, 3, row, row_width, left, width, pixels);
}

static void to_gray(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                    uint8_t *pixels) {
  convert(formats[settings.format]->to_gray, 1, row, row_width, left, width, pixels);
}

const micronet_pixel_format simulated_format = {CAMERA_BYTES_PER_PIXEL, 2, 3, to_rgb888, to_gray};

/* The linker puts these in front of the model's functions. */
micronet_status __real_small_model_rows_push(void *arena, const int8_t *row);
micronet_status __wrap_small_model_rows_push(void *arena, const int8_t *row);
micronet_status __real_small_model_rows_run(void *arena);
micronet_status __wrap_small_model_rows_run(void *arena);

micronet_status __wrap_small_model_rows_push(void *arena, const int8_t *row) {
  pass(settings.push_time);
  const micronet_status status = __real_small_model_rows_push(arena, row);
  require(status == MICRONET_OK);
  return status;
}

micronet_status __wrap_small_model_rows_run(void *arena) {
  pass(settings.run_time);
  const micronet_status status = __real_small_model_rows_run(arena);
  require(status == MICRONET_OK);
  return status;
}

int main(void) {
  require(fread(&settings, 1, sizeof(settings), stdin) == sizeof(settings));
  const size_t bytes = (size_t)(settings.frames * CAMERA_HEIGHT * CAMERA_WIDTH * bytes_per_pixel());
  frames = malloc(bytes);
  require(frames != NULL && fread(frames, 1, bytes, stdin) == bytes);
  require(camera_example_start() == NULL);
  int32_t idle = 0;
  while (idle < 100) { /* the last lines may be waiting still */
    const int8_t *scores = camera_example_step();
    if (scores != NULL) require(fwrite(scores, 1, kClassCount, stdout) == kClassCount);
    tick();
    idle = is_off() ? idle + 1 : 0;
  }
  const camera_example_counters counters = camera_example_count();
  require(fwrite(&counters, 1, sizeof(counters), stdout) == sizeof(counters));
  free(frames);
  return EXIT_SUCCESS;
}

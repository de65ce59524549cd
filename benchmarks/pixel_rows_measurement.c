/* SPDX-License-Identifier: Apache-2.0 */
/* Counts the instructions of converting a row, for benchmarks/pixel_rows.py.
 *
 * The input is a row's width, int32. The output is for each format of the list its name's place in
 * pixel_rows.FORMATS being the list's, uint64 for RGB888 and for gray. */
#include "host.h"
#include "instruction_counter.h"
#include "micronet_pixel_formats.h"

enum { MOST_WIDTH = 1024, MOST_BYTES_PER_PIXEL = 4 };

static const micronet_pixel_format *const formats[] = {
    &micronet_pixels_rgb565_high_byte_first,
    &micronet_pixels_rgb565_low_byte_first,
    &micronet_pixels_yuyv,
    &micronet_pixels_uyvy,
    &micronet_pixels_yuyv_limited,
    &micronet_pixels_uyvy_limited,
    &micronet_pixels_rgb888,
    &micronet_pixels_bgr888,
    &micronet_pixels_gray8,
    &micronet_pixels_bayer_rggb,
    &micronet_pixels_bayer_bggr,
    &micronet_pixels_bayer_grbg,
    &micronet_pixels_bayer_gbrg,
};

static uint8_t row[MOST_WIDTH * MOST_BYTES_PER_PIXEL];
static uint8_t pixels[MOST_WIDTH * 3];
static int32_t width;

static void convert(void *function) {
  (*(micronet_pixel_row *const *)function)(row, width, 0, width, pixels);
}

static void measure(micronet_pixel_row *function) {
  const uint64_t instructions = instruction_counter_measure(convert, &function);
  host_write(&instructions, sizeof(instructions));
}

int main(void) {
  host_read(&width, sizeof(width));
  if (width < 0 || width > MOST_WIDTH) return 1;
  for (int32_t i = 0; i < (int32_t)sizeof(row); ++i) row[i] = (uint8_t)(i * 73 + i / 256);
  for (int32_t i = 0; i < (int32_t)(sizeof(formats) / sizeof(formats[0])); ++i) {
    measure(formats[i]->to_rgb888);
    measure(formats[i]->to_gray);
  }
  return 0;
}

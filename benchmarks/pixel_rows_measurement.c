/* SPDX-License-Identifier: Apache-2.0 */
/* Counts the instructions of converting a row, for benchmarks/pixel_rows.py.
 *
 * The input is a row's width, int32. The output is for each format of the list its name's place in
 * pixel_rows.FORMATS being the list's, uint64 for RGB888 and for gray. */
#include "all_pixel_formats.h"
#include "host.h"
#include "instruction_counter.h"

enum { MOST_WIDTH = 1024, MOST_BYTES_PER_PIXEL = 4 };

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

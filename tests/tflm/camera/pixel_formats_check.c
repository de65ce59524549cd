/* SPDX-License-Identifier: Apache-2.0 */
/* Converts parts of rows, in memory of exactly their sizes, so that sanitizers see its ends. The
 * input is cases of five numbers of 32 bits: which of the formats below, whether to gray, width of
 * the row, left and width of the part; and the row. The output has what was made of each. */
#include <stdio.h>
#include <stdlib.h>

#include "micronet_pixel_formats.h"

/* In the order of FORMATS in pixel_rows.py. */
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

int main(void) {
  int32_t head[5];
  while (fread(head, 1, sizeof(head), stdin) == sizeof(head)) {
    const micronet_pixel_format *format = formats[head[0]];
    const size_t row_bytes = (size_t)(head[2] * format->bytes_per_pixel);
    const size_t pixels_bytes = (size_t)(head[4] * (head[1] ? 1 : 3));
    uint8_t *row = malloc(row_bytes);
    uint8_t *pixels = malloc(pixels_bytes + (pixels_bytes == 0));
    if (row == NULL || pixels == NULL) return EXIT_FAILURE;
    if (fread(row, 1, row_bytes, stdin) != row_bytes) return EXIT_FAILURE;
    (head[1] ? format->to_gray : format->to_rgb888)(row, head[2], head[3], head[4], pixels);
    if (fwrite(pixels, 1, pixels_bytes, stdout) != pixels_bytes) return EXIT_FAILURE;
    free(row);
    free(pixels);
  }
  return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include <string.h>

#include "micronet_pixel_formats_internal.h"

/* red: where a pixel's red byte is, 0 or 2. */
MICRONET_INLINE void to_gray(const uint8_t *pixel, int32_t red, int32_t width, uint8_t *gray) {
  for (; width > 0; --width, pixel += 3) {
    *gray++ = micronet_luma(pixel[red], pixel[1], pixel[2 - red]);
  }
}

static void rgb_to_rgb888(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                          uint8_t *rgb) {
  (void)row_width;
  memcpy(rgb, row + 3 * left, 3 * (size_t)width);
}

static void rgb_to_gray(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                        uint8_t *gray) {
  (void)row_width;
  to_gray(row + 3 * left, 0, width, gray);
}

static void bgr_to_rgb888(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                          uint8_t *rgb) {
  (void)row_width;
  const uint8_t *pixel = row + 3 * left;
  for (; width > 0; --width, pixel += 3, rgb += 3) {
    rgb[0] = pixel[2];
    rgb[1] = pixel[1];
    rgb[2] = pixel[0];
  }
}

static void bgr_to_gray(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                        uint8_t *gray) {
  (void)row_width;
  to_gray(row + 3 * left, 2, width, gray);
}

MICRONET_SHARED const micronet_pixel_format micronet_pixels_rgb888 = {3, 1, 3, rgb_to_rgb888,
                                                                      rgb_to_gray};
MICRONET_SHARED const micronet_pixel_format micronet_pixels_bgr888 = {3, 1, 3, bgr_to_rgb888,
                                                                      bgr_to_gray};

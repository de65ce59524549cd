/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "micronet_pixel_formats_internal.h"

typedef struct {
  uint32_t red, green, blue; /* 0 to 255 */
} colours;

MICRONET_INLINE colours colours_of(uint32_t high, uint32_t low) {
  const uint32_t pixel = high << 8 | low;
  const uint32_t red = pixel >> 11;
  const uint32_t green = pixel >> 5 & 63u;
  const uint32_t blue = pixel & 31u;
  const colours result = {red << 3 | red >> 2, green << 2 | green >> 4, blue << 3 | blue >> 2};
  return result;
}

/* high: where a pixel's high byte is, 0 or 1. */
MICRONET_INLINE void to_rgb888(const uint8_t *pixel, int32_t high, int32_t width, uint8_t *rgb) {
  for (; width > 0; --width, pixel += 2, rgb += 3) {
    const colours each = colours_of(pixel[high], pixel[1 - high]);
    rgb[0] = (uint8_t)each.red;
    rgb[1] = (uint8_t)each.green;
    rgb[2] = (uint8_t)each.blue;
  }
}

MICRONET_INLINE void to_gray(const uint8_t *pixel, int32_t high, int32_t width, uint8_t *gray) {
  for (; width > 0; --width, pixel += 2) {
    const colours each = colours_of(pixel[high], pixel[1 - high]);
    *gray++ = micronet_luma(each.red, each.green, each.blue);
  }
}

static void high_first_to_rgb888(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                                 uint8_t *rgb) {
  (void)row_width;
  to_rgb888(row + 2 * left, 0, width, rgb);
}

static void high_first_to_gray(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                               uint8_t *gray) {
  (void)row_width;
  to_gray(row + 2 * left, 0, width, gray);
}

static void low_first_to_rgb888(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                                uint8_t *rgb) {
  (void)row_width;
  to_rgb888(row + 2 * left, 1, width, rgb);
}

static void low_first_to_gray(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                              uint8_t *gray) {
  (void)row_width;
  to_gray(row + 2 * left, 1, width, gray);
}

MICRONET_SHARED const micronet_pixel_format micronet_pixels_rgb565_high_byte_first = {
    2, 1, 3, high_first_to_rgb888, high_first_to_gray};
MICRONET_SHARED const micronet_pixel_format micronet_pixels_rgb565_low_byte_first = {
    2, 1, 3, low_first_to_rgb888, low_first_to_gray};

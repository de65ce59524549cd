/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include <string.h>

#include "micronet_pixel_formats_internal.h"

static void gray_to_rgb888(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                           uint8_t *rgb) {
  (void)row_width;
  const uint8_t *pixel = row + left;
  for (; width > 0; --width, rgb += 3) {
    const uint8_t gray = *pixel++;
    rgb[0] = gray;
    rgb[1] = gray;
    rgb[2] = gray;
  }
}

static void gray_to_gray(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                         uint8_t *gray) {
  (void)row_width;
  memcpy(gray, row + left, (size_t)width);
}

MICRONET_SHARED const micronet_pixel_format micronet_pixels_gray8 = {1, 1, 1, gray_to_rgb888,
                                                                     gray_to_gray};

/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "micronet_pixel_formats_internal.h"

/* The value at a place of a cell, which are numbered from left to right, the upper line first. */
MICRONET_INLINE uint32_t value_at(const uint8_t *upper, const uint8_t *lower, int32_t place) {
  return place < 2 ? upper[place] : lower[place - 2];
}

/* The mean of the two places that are neither of red nor of blue. */
MICRONET_INLINE uint32_t green_of(const uint8_t *upper, const uint8_t *lower, int32_t red) {
  const int32_t green = red == 0 || red == 3 ? 1 : 0;
  return (value_at(upper, lower, green) + value_at(upper, lower, 3 - green) + 1) >> 1;
}

/* red: its place in a cell; blue is at the place opposite. */
MICRONET_INLINE void to_rgb888(const uint8_t *row, int32_t row_width, int32_t left, int32_t red,
                               int32_t width, uint8_t *rgb) {
  const uint8_t *upper = row + 2 * left;
  const uint8_t *lower = upper + 2 * row_width;
  for (; width > 0; --width, upper += 2, lower += 2, rgb += 3) {
    rgb[0] = (uint8_t)value_at(upper, lower, red);
    rgb[1] = (uint8_t)green_of(upper, lower, red);
    rgb[2] = (uint8_t)value_at(upper, lower, 3 - red);
  }
}

MICRONET_INLINE void to_gray(const uint8_t *row, int32_t row_width, int32_t left, int32_t red,
                             int32_t width, uint8_t *gray) {
  const uint8_t *upper = row + 2 * left;
  const uint8_t *lower = upper + 2 * row_width;
  for (; width > 0; --width, upper += 2, lower += 2) {
    *gray++ = micronet_luma(value_at(upper, lower, red), green_of(upper, lower, red),
                            value_at(upper, lower, 3 - red));
  }
}

static void rggb_to_rgb888(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                           uint8_t *rgb) {
  to_rgb888(row, row_width, left, 0, width, rgb);
}

static void rggb_to_gray(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                         uint8_t *gray) {
  to_gray(row, row_width, left, 0, width, gray);
}

static void grbg_to_rgb888(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                           uint8_t *rgb) {
  to_rgb888(row, row_width, left, 1, width, rgb);
}

static void grbg_to_gray(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                         uint8_t *gray) {
  to_gray(row, row_width, left, 1, width, gray);
}

static void gbrg_to_rgb888(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                           uint8_t *rgb) {
  to_rgb888(row, row_width, left, 2, width, rgb);
}

static void gbrg_to_gray(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                         uint8_t *gray) {
  to_gray(row, row_width, left, 2, width, gray);
}

static void bggr_to_rgb888(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                           uint8_t *rgb) {
  to_rgb888(row, row_width, left, 3, width, rgb);
}

static void bggr_to_gray(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                         uint8_t *gray) {
  to_gray(row, row_width, left, 3, width, gray);
}

MICRONET_SHARED const micronet_pixel_format micronet_pixels_bayer_rggb = {4, 1, 3, rggb_to_rgb888,
                                                                          rggb_to_gray};
MICRONET_SHARED const micronet_pixel_format micronet_pixels_bayer_grbg = {4, 1, 3, grbg_to_rgb888,
                                                                          grbg_to_gray};
MICRONET_SHARED const micronet_pixel_format micronet_pixels_bayer_gbrg = {4, 1, 3, gbrg_to_rgb888,
                                                                          gbrg_to_gray};
MICRONET_SHARED const micronet_pixel_format micronet_pixels_bayer_bggr = {4, 1, 3, bggr_to_rgb888,
                                                                          bggr_to_gray};

/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "micronet_pixel_formats_internal.h"

#define HALF 32768

/* Factors in 65536ths. */
typedef struct {
  int32_t black; /* Y of black */
  int32_t luma;
  int32_t red_of_v, green_of_u, green_of_v, blue_of_u;
} factors;

static const factors full_range = {0, 65536, 91881, -22554, -46802, 116130};
/* Those times 255 / 219 for Y and 255 / 224 for U and V. */
static const factors limited_range = {16, 76309, 104597, -25675, -53279, 132201};

/* What two neighbours share, with the half that rounds. */
typedef struct {
  int32_t red, green, blue;
} colour_offsets;

MICRONET_INLINE colour_offsets offsets_of(const factors *by, int32_t u, int32_t v) {
  u -= 128;
  v -= 128;
  const int32_t constant = HALF - by->black * by->luma;
  const colour_offsets result = {by->red_of_v * v + constant,
                                 by->green_of_u * u + by->green_of_v * v + constant,
                                 by->blue_of_u * u + constant};
  return result;
}

MICRONET_INLINE uint8_t *put(const factors *by, int32_t y, colour_offsets offsets, uint8_t *rgb) {
  const int32_t luma = by->luma * y;
  rgb[0] = micronet_limited_pixel(luma + offsets.red);
  rgb[1] = micronet_limited_pixel(luma + offsets.green);
  rgb[2] = micronet_limited_pixel(luma + offsets.blue);
  return rgb + 3;
}

/* y: where the first Y of four bytes is, 0 or 1. */
MICRONET_INLINE void to_rgb888(const uint8_t *row, const factors *by, int32_t y, int32_t left,
                               int32_t width, uint8_t *rgb) {
  const uint8_t *pair = row + left / 2 * 4;
  const int32_t u = 1 - y;
  if (left % 2 != 0 && width > 0) {
    rgb = put(by, pair[y + 2], offsets_of(by, pair[u], pair[u + 2]), rgb);
    pair += 4;
    --width;
  }
  for (; width > 1; width -= 2, pair += 4) {
    const colour_offsets offsets = offsets_of(by, pair[u], pair[u + 2]);
    rgb = put(by, pair[y], offsets, rgb);
    rgb = put(by, pair[y + 2], offsets, rgb);
  }
  if (width > 0) put(by, pair[y], offsets_of(by, pair[u], pair[u + 2]), rgb);
}

/* pixel: the first Y. */
MICRONET_INLINE void full_to_gray(const uint8_t *pixel, int32_t width, uint8_t *gray) {
  for (; width > 0; --width, pixel += 2) *gray++ = *pixel;
}

MICRONET_INLINE void limited_to_gray(const uint8_t *pixel, int32_t width, uint8_t *gray) {
  const factors *by = &limited_range;
  const int32_t constant = HALF - by->black * by->luma;
  for (; width > 0; --width, pixel += 2) {
    *gray++ = micronet_limited_pixel(by->luma * *pixel + constant);
  }
}

static void yuyv_to_rgb888(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                           uint8_t *rgb) {
  (void)row_width;
  to_rgb888(row, &full_range, 0, left, width, rgb);
}

static void uyvy_to_rgb888(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                           uint8_t *rgb) {
  (void)row_width;
  to_rgb888(row, &full_range, 1, left, width, rgb);
}

static void yuyv_limited_to_rgb888(const uint8_t *row, int32_t row_width, int32_t left,
                                   int32_t width, uint8_t *rgb) {
  (void)row_width;
  to_rgb888(row, &limited_range, 0, left, width, rgb);
}

static void uyvy_limited_to_rgb888(const uint8_t *row, int32_t row_width, int32_t left,
                                   int32_t width, uint8_t *rgb) {
  (void)row_width;
  to_rgb888(row, &limited_range, 1, left, width, rgb);
}

static void yuyv_to_gray(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                         uint8_t *gray) {
  (void)row_width;
  full_to_gray(row + 2 * left, width, gray);
}

static void uyvy_to_gray(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                         uint8_t *gray) {
  (void)row_width;
  full_to_gray(row + 2 * left + 1, width, gray);
}

static void yuyv_limited_to_gray(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                                 uint8_t *gray) {
  (void)row_width;
  limited_to_gray(row + 2 * left, width, gray);
}

static void uyvy_limited_to_gray(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                                 uint8_t *gray) {
  (void)row_width;
  limited_to_gray(row + 2 * left + 1, width, gray);
}

MICRONET_SHARED const micronet_pixel_format micronet_pixels_yuyv = {2, 2, 3, yuyv_to_rgb888,
                                                                    yuyv_to_gray};
MICRONET_SHARED const micronet_pixel_format micronet_pixels_uyvy = {2, 2, 3, uyvy_to_rgb888,
                                                                    uyvy_to_gray};
MICRONET_SHARED const micronet_pixel_format micronet_pixels_yuyv_limited = {
    2, 2, 3, yuyv_limited_to_rgb888, yuyv_limited_to_gray};
MICRONET_SHARED const micronet_pixel_format micronet_pixels_uyvy_limited = {
    2, 2, 3, uyvy_limited_to_rgb888, uyvy_limited_to_gray};

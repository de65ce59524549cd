/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of pixels as cameras give them, and their conversion to what models take: RGB888 (three
 * bytes a pixel, red first) or gray (one byte), each from 0 to 255.
 *
 * A row is one line of the sensor, or for Bayer formats two. Everything is in integers and without
 * tables; what each format computes is said beside its name. To gray, all of them give the luma of
 * ITU-R BT.601, (19595 red + 38470 green + 7471 blue + 32768) >> 16, which is how images for gray
 * models are converted in training. */
#ifndef MICRONET_PIXEL_FORMATS_H
#define MICRONET_PIXEL_FORMATS_H

#include <stdint.h>

#include "micronet_shared.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* Converts a part of a row.
 *
 * row: its bytes, from its first pixel on, at any address.
 * row_width: pixels of the whole row, a multiple of the format's `width_multiple`.
 * left: the first pixel of the part, 0 to row_width - width; odd ones, too.
 * width: pixels of the part, 0 to row_width; odd numbers, too.
 * pixels: gets 3 * width bytes (RGB888) or width bytes (gray). Must not overlap the row. */
typedef void micronet_pixel_row(const uint8_t *row, int32_t row_width, int32_t left, int32_t width,
                                uint8_t *pixels);

typedef struct {
  int32_t bytes_per_pixel; /* of a row, 1 to 4 */
  int32_t width_multiple;  /* 1 or 2: a row's width in pixels must be a multiple of it */
  int32_t channels;        /* 3: it has colours; 1: its RGB888 is its gray value three times */
  micronet_pixel_row *to_rgb888;
  micronet_pixel_row *to_gray;
} micronet_pixel_format;

/* 5 bits of red, 6 of green, 5 of blue, red being the highest bits of the number of 16 bits whose
 * high or low byte comes first. Bits are repeated: red = r << 3 | r >> 2, green = g << 2 | g >> 4,
 * so that 0 stays 0 and the largest becomes 255. */
extern const micronet_pixel_format micronet_pixels_rgb565_high_byte_first;
extern const micronet_pixel_format micronet_pixels_rgb565_low_byte_first;

/* Y of a pixel, U (Cb), Y of the next, V (Cr); or U first. ITU-R BT.601 in the full range, as JPEG
 * has it: Y from 0 to 255; red = Y + 1.402 (V - 128), green = Y - 0.344136 (U - 128) -
 * 0.714136 (V - 128), blue = Y + 1.772 (U - 128), rounded to the nearest and limited to 0 to 255,
 * with factors in 65536ths: a value may be off by 1 only within 0.002 of a half. Gray is Y. */
extern const micronet_pixel_format micronet_pixels_yuyv;
extern const micronet_pixel_format micronet_pixels_uyvy;

/* The same in the limited range, as video has it: Y from 16 to 235, U and V from 16 to 240, which
 * are stretched to the full range. A value may be off by 1 only within 0.004 of a half. Gray is
 * (Y - 16) * 255 / 219, limited to 0 to 255. */
extern const micronet_pixel_format micronet_pixels_yuyv_limited;
extern const micronet_pixel_format micronet_pixels_uyvy_limited;

extern const micronet_pixel_format micronet_pixels_rgb888; /* red, green, blue */
extern const micronet_pixel_format micronet_pixels_bgr888; /* blue, green, red */
extern const micronet_pixel_format micronet_pixels_gray8;  /* RGB888 is the value three times */

/* Raw values behind a Bayer filter. The names have the colours of a cell of 2x2, its upper line
 * first. A cell becomes one pixel, whose green is the mean of both, rounded up. So a row is two
 * lines of the sensor, the upper one first and the other right behind it, each of 2 * row_width
 * bytes; width and height are half of the sensor's. */
extern const micronet_pixel_format micronet_pixels_bayer_rggb;
extern const micronet_pixel_format micronet_pixels_bayer_bggr;
extern const micronet_pixel_format micronet_pixels_bayer_grbg;
extern const micronet_pixel_format micronet_pixels_bayer_gbrg;

#if defined(__cplusplus)
}
#endif

#endif

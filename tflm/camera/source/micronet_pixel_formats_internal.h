/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of several pixel formats share. */
#ifndef MICRONET_PIXEL_FORMATS_INTERNAL_H
#define MICRONET_PIXEL_FORMATS_INTERNAL_H

#include "micronet_pixel_formats.h"

/* Weights of luma in 65536ths, as keras_micronet/luma.py has them. */
#define MICRONET_LUMA_RED 19595
#define MICRONET_LUMA_GREEN 38470
#define MICRONET_LUMA_BLUE 7471

/* Each colour 0 to 255. */
static inline uint8_t micronet_luma(uint32_t red, uint32_t green, uint32_t blue) {
  return (uint8_t)((MICRONET_LUMA_RED * red + MICRONET_LUMA_GREEN * green +
                    MICRONET_LUMA_BLUE * blue + 32768u) >>
                   16);
}

/* A value with 16 bits behind the point that includes the half that rounds. */
static inline uint8_t micronet_limited_pixel(int32_t value) {
  value >>= 16;
  return (uint8_t)(value < 0 ? 0 : value > UINT8_MAX ? UINT8_MAX : value);
}

#endif

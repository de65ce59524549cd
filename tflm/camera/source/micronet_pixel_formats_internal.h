/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of several pixel formats share. */
#ifndef MICRONET_PIXEL_FORMATS_INTERNAL_H
#define MICRONET_PIXEL_FORMATS_INTERNAL_H

#include "micronet_pixel_formats.h"

/* For functions with an argument that is known where they are called: each call gets its own code.
 */
#if defined(__GNUC__)
#define MICRONET_INLINE static inline __attribute__((always_inline))
#else
#define MICRONET_INLINE static inline
#endif

/* Weights of luma in 65536ths, as keras_micronet/luma.py has them. */
#define MICRONET_LUMA_RED 19595
#define MICRONET_LUMA_GREEN 38470
#define MICRONET_LUMA_BLUE 7471

/* Each colour 0 to 255. */
MICRONET_INLINE uint8_t micronet_luma(uint32_t red, uint32_t green, uint32_t blue) {
  return (uint8_t)((MICRONET_LUMA_RED * red + MICRONET_LUMA_GREEN * green +
                    MICRONET_LUMA_BLUE * blue + 32768u) >>
                   16);
}

/* A value with 16 bits behind the point that includes the half that rounds. */
MICRONET_INLINE uint8_t micronet_limited_pixel(int32_t value) {
#if defined(__GNUC__) && defined(__ARM_FEATURE_SAT)
  uint32_t limited;
  __asm__("usat %0, #8, %1, asr #16" : "=r"(limited) : "r"(value));
  return (uint8_t)limited;
#else
  value >>= 16;
  return (uint8_t)(value < 0 ? 0 : value > UINT8_MAX ? UINT8_MAX : value);
#endif
}

#endif

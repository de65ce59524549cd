/* SPDX-License-Identifier: Apache-2.0 */
/* Sums over all pixels of a map, for pooling. */
#ifndef MICRONET_CHANNEL_SUMS_H
#define MICRONET_CHANNEL_SUMS_H

#include "processor.h"

enum {
  MICRONET_CHANNEL_SUMS_MOST = 8,
  MICRONET_CHANNEL_SUMS_PIXELS = 255 /* so many int8 add up to an int16, whatever they are */
};

#if defined(MICRONET_MVE)

/* Sums of `count` neighbouring channels, at most MICRONET_CHANNEL_SUMS_MOST.
 *
 * first: the first of these channels in the first pixel.
 * pixels: at most 2^24; pixel after pixel, `stride` bytes apart.
 * sums: receives MICRONET_CHANNEL_SUMS_MOST sums; those from `count` on are 0. */
static inline void micronet_channel_sums(const int8_t *first, int32_t pixels, int32_t stride,
                                         int32_t count, int32_t *sums) {
  const mve_pred16_t lanes = vctp16q((uint32_t)count);
  int32x4_t low = vdupq_n_s32(0), high = vdupq_n_s32(0); /* channels 0, 2, 4, 6 and 1, 3, 5, 7 */
  while (pixels > 0) {
    int32_t left = pixels < MICRONET_CHANNEL_SUMS_PIXELS ? pixels : MICRONET_CHANNEL_SUMS_PIXELS;
    int16x8_t block = vdupq_n_s16(0);
    pixels -= left;
    if (count == MICRONET_CHANNEL_SUMS_MOST) {
      for (; left > 0; --left, first += stride) block = vaddq_s16(block, vldrbq_s16(first));
    } else {
      for (; left > 0; --left, first += stride) {
        block = vaddq_s16(block, vldrbq_z_s16(first, lanes));
      }
    }
    low = vaddq_s32(low, vmovlbq_s16(block));
    high = vaddq_s32(high, vmovltq_s16(block));
  }
  const int32x4x2_t both = {{low, high}};
  vst2q_s32(sums, both);
}

#elif defined(MICRONET_DSP)

/* Adds the halfwords of two words of sums: of channels 0 and 2, and of 1 and 3. */
static inline void micronet_add_halfwords(uint32_t even, uint32_t odd, int32_t *sums) {
  sums[0] += (int16_t)even;
  sums[1] += (int16_t)odd;
  sums[2] += (int32_t)even >> 16;
  sums[3] += (int32_t)odd >> 16;
}

/* Adds 4 channels of at most MICRONET_CHANNEL_SUMS_PIXELS pixels. */
static inline void micronet_add_channels_4(const int8_t *source, int32_t pixels, int32_t stride,
                                           int32_t *sums) {
  uint32_t even = 0, odd = 0;
  for (; pixels > 0; --pixels, source += stride) {
    const uint32_t word = micronet_load_4(source);
    even = micronet_sxtab16(even, word);
    odd = micronet_sxtab16_ror8(odd, word);
  }
  micronet_add_halfwords(even, odd, sums);
}

/* Sums of 8 channels of at most MICRONET_CHANNEL_SUMS_PIXELS pixels, as halfwords: of channels 0
 * and 2, 1 and 3, 4 and 6, 5 and 7. */
typedef struct {
  uint32_t even, odd, next_even, next_odd;
} micronet_sums_8;

static inline void micronet_add_words(micronet_sums_8 *sums, uint32_t word, uint32_t next_word) {
  sums->even = micronet_sxtab16(sums->even, word);
  sums->odd = micronet_sxtab16_ror8(sums->odd, word);
  sums->next_even = micronet_sxtab16(sums->next_even, next_word);
  sums->next_odd = micronet_sxtab16_ror8(sums->next_odd, next_word);
}

static inline micronet_sums_8 micronet_sum_channels_8(const int8_t *source, int32_t pixels,
                                                      int32_t stride) {
  micronet_sums_8 sums = {0, 0, 0, 0};
  const int8_t *next = source + stride; /* the pixel behind it */
  for (; pixels >= 4; pixels -= 4) {
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      uint32_t words[4];
      micronet_load_8_twice(&source, &next, 2 * stride, words);
      micronet_add_words(&sums, words[0], words[1]);
      micronet_add_words(&sums, words[2], words[3]);
    }
  }
  for (; pixels > 0; --pixels, source += stride) {
    micronet_add_words(&sums, micronet_load_4(source), micronet_load_4(source + 4));
  }
  return sums;
}

/* As above. */
static inline void micronet_channel_sums(const int8_t *first, int32_t pixels, int32_t stride,
                                         int32_t count, int32_t *sums) {
#pragma GCC unroll 8
  for (int32_t i = 0; i < MICRONET_CHANNEL_SUMS_MOST; ++i) sums[i] = 0;
  while (pixels > 0) {
    const int32_t block =
        pixels < MICRONET_CHANNEL_SUMS_PIXELS ? pixels : MICRONET_CHANNEL_SUMS_PIXELS;
    int32_t channel = 0;
    if (count == 8) {
      const micronet_sums_8 added = micronet_sum_channels_8(first, block, stride);
      micronet_add_halfwords(added.even, added.odd, sums);
      micronet_add_halfwords(added.next_even, added.next_odd, sums + 4);
      channel = 8;
    }
    if (channel + 4 <= count) {
      micronet_add_channels_4(first, block, stride, sums);
      channel = 4;
    }
    for (; channel < count; ++channel) {
      const int8_t *source = first + channel;
      for (int32_t i = 0; i < block; ++i, source += stride) sums[channel] += *source;
    }
    first += block * stride;
    pixels -= block;
  }
}

#else

/* As above. */
static inline void micronet_channel_sums(const int8_t *first, int32_t pixels, int32_t stride,
                                         int32_t count, int32_t *sums) {
  for (int32_t i = 0; i < MICRONET_CHANNEL_SUMS_MOST; ++i) sums[i] = 0;
  for (int32_t pixel = 0; pixel < pixels; ++pixel) {
    const int8_t *source = first + pixel * stride;
    for (int32_t i = 0; i < count; ++i) sums[i] += source[i];
  }
}

#endif

#endif

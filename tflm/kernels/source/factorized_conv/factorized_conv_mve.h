/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of factorized_depthwise_conv_s8 and factorized_stem_s8 with Helium: internal.
 *
 * Channels are done one by one, so that weights are scalars. Four results are computed at once: a
 * vector, whose lanes may follow each other in a row or in a column. Where their number is no
 * multiple of four, the last vector begins earlier and computes some results a second time. */
#ifndef MICRONET_FACTORIZED_CONV_MVE_H
#define MICRONET_FACTORIZED_CONV_MVE_H

#include "factorized_conv_internal.h"

#if defined(MICRONET_MVE)

enum { FACTORIZED_LANES = 4, FACTORIZED_MOST_TAPS = 5 };

/* One channel of one of the two convolutions. */
typedef struct {
  int32_t weights[FACTORIZED_MOST_TAPS];
  int32_t bias;
  int32_t multiplier;
  int32_t zero_point;
  int32_t lowest;
  int32_t highest;
} factorized_lanes_filter;

/* Distances in bytes, in what is read and in what is written. */
typedef struct {
  int32_t tap;       /* from what one weight meets to what the next one does */
  int32_t read_lane; /* from one lane to the next */
  int32_t read_step; /* from one vector to the next */
  int32_t write_lane;
  int32_t write_step;
} factorized_lanes_layout;

FACTORIZED_INLINE factorized_lanes_filter
factorized_load_lanes_filter(const micronet_factorized_half *half, int32_t channel, int32_t taps) {
  const int8_t *weights = half->weights + channel * taps;
  factorized_lanes_filter filter;
  FACTORIZED_UNROLL
  for (int32_t tap = 0; tap < taps; ++tap) filter.weights[tap] = weights[tap];
  filter.bias = half->requantization[2 * channel];
  filter.multiplier = half->requantization[2 * channel + 1];
  filter.zero_point = half->zero_point;
  filter.lowest = half->lowest;
  filter.highest = half->highest;
  return filter;
}

FACTORIZED_INLINE uint32x4_t factorized_lanes(int32_t distance) {
  return vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)distance);
}

FACTORIZED_INLINE int32x4_t factorized_finish_lanes(int32x4_t sums, int32x4_t multiplier,
                                                    int32_t zero_point, int32x4_t lowest,
                                                    int32x4_t highest) {
  const int32x4_t results = vaddq_n_s32(vrmulhq_s32(sums, multiplier), zero_point);
  return vminq_s32(vmaxq_s32(results, lowest), highest);
}

/* Vectors of results, one after the other.
 *
 * taps: 3 or 5, known to the compiler.
 * read: what the first weight of the first lane of the first vector meets.
 * write: the first lane's result. */
FACTORIZED_INLINE void factorized_vectors(const factorized_lanes_filter *filter, int32_t taps,
                                          const factorized_lanes_layout *layout, const int8_t *read,
                                          int8_t *write, int32_t count) {
  const int32x4_t multiplier = vdupq_n_s32(filter->multiplier);
  const int32x4_t lowest = vdupq_n_s32(filter->lowest), highest = vdupq_n_s32(filter->highest);
  const uint32x4_t write_lanes = factorized_lanes(layout->write_lane);
  uint32x4_t read_lanes = factorized_lanes(layout->read_lane);
  for (; count > 0; --count) {
    int32x4_t sums = vdupq_n_s32(filter->bias);
    FACTORIZED_UNROLL
    for (int32_t tap = 0; tap < taps; ++tap) {
      const int32x4_t values = vldrbq_gather_offset_s32(read + tap * layout->tap, read_lanes);
      sums = vmlaq_n_s32(sums, values, filter->weights[tap]);
    }
    vstrbq_scatter_offset_s32(
        write, write_lanes,
        factorized_finish_lanes(sums, multiplier, filter->zero_point, lowest, highest));
    read_lanes = vaddq_n_u32(read_lanes, (uint32_t)layout->read_step);
    write += layout->write_step;
  }
}

/* Where vector `index` of a line of `size` results begins. */
FACTORIZED_INLINE int32_t factorized_vector_start(int32_t index, int32_t size) {
  const int32_t start = index * FACTORIZED_LANES;
  return start + FACTORIZED_LANES <= size ? start : size - FACTORIZED_LANES;
}

FACTORIZED_INLINE int32_t factorized_vector_count(int32_t size) {
  return (size + FACTORIZED_LANES - 1) / FACTORIZED_LANES;
}

static inline int factorized_is_for_mve(const micronet_factorized_conv_params *params) {
  const int32_t taps = params->horizontal.taps;
  return params->width >= FACTORIZED_LANES && (taps == 3 || taps == 5);
}

#endif /* MICRONET_MVE */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "dynamic_shift_max_s8_internal.h"

#if defined(MICRONET_MVE)

typedef micronet_dynamic_shift_max_s8_params shift_max_params;

enum { GROUP = 4 /* channels at a time, in two pixels */ };

/* What the loop over pixels needs for a group of channels. Lanes 2 i and 2 i + 1 belong to channel
 * i of the group. */
typedef struct {
  uint16x8_t pairs;      /* offsets of the channel and of its partner, in the first pixel */
  uint16x8_t next_pairs; /* of the partner and of the channel, in the second pixel */
  uint16x8_t outputs;    /* where it is written, in the first and in the second pixel */
  int16x8_t first;       /* a and b of the first fusion */
  int16x8_t second;      /* of the second */
  mve_pred16_t lanes;    /* those of existing channels */
  int is_whole;          /* whether all channels exist */
} fused_group;

static uint16x8_t join(uint32x4_t low, uint32x4_t high) {
  return vreinterpretq_u16_u32(vsliq_n_u32(low, high, 16));
}

static fused_group describe_group(const shift_max_params *params, const uint32_t *coefficients,
                                  int32_t first) {
  const uint32_t left = (uint32_t)(params->channels - first);
  const mve_pred16_t words = vctp32q(left);
  const uint32x4_t pixel = vdupq_n_u32((uint32_t)params->channels);
  const uint32x4_t channels = vpselq_u32(vidupq_n_u32((uint32_t)first, 1), vdupq_n_u32(0), words);
  const uint32x4_t partners = vldrhq_z_u32((const uint16_t *)params->shift + first, words);
  const uint32x4_t outputs =
      vldrhq_z_u32((const uint16_t *)params->output_positions + first, words);
  const uint32_t *second = coefficients;
  if (params->fusions == 2) second += micronet_dynamic_shift_max_s8_rounded_up(params->channels);
  return (fused_group){
      .pairs = join(channels, partners),
      .next_pairs = join(vaddq_u32(partners, pixel), vaddq_u32(channels, pixel)),
      .outputs = join(outputs, vaddq_u32(outputs, pixel)),
      .first = vreinterpretq_s16_u32(vldrwq_u32(coefficients + first)),
      .second = vreinterpretq_s16_u32(vldrwq_u32(second + first)),
      .lanes = words,
      .is_whole = left >= GROUP,
  };
}

/* Elements without zero point, times 2^bits. */
static inline int16x8_t load_pairs(const int8_t *pixel, uint16x8_t offsets, int16_t zero_point,
                                   int32_t bits) {
  const int16x8_t pairs = vldrbq_gather_offset_s16(pixel, offsets);
  return vshlq_r_s16(vsubq_n_s16(pairs, zero_point), bits);
}

/* Fuses pairs into the lower lanes of `sums`: VQRDMLADH gives (2 (p0 c0 + p1 c1) + 2^15) / 2^16 of
 * two pairs of lanes. As the pairs are multiplied by 2^(15 - coefficient_shift), these are the
 * rounded sums. */
static inline int16x8_t fuse_pairs(int16x8_t sums, int16x8_t pairs, int16x8_t coefficients) {
  return vqrdmladhq_s16(sums, pairs, coefficients);
}

/* Fuses pairs, the partner in front, into the upper lanes of `sums`. */
static inline int16x8_t fuse_next_pairs(int16x8_t sums, int16x8_t pairs, int16x8_t coefficients) {
  return vqrdmladhxq_s16(sums, pairs, coefficients);
}

/* 4 channels, two pixels at a time, without limits.
 *
 * Returns how far behind the input the rest of it is. */
static inline int32_t fuse_whole_group(const shift_max_params *params, const fused_group *group,
                                       int fusions, const int8_t *input, int8_t *output,
                                       int32_t pixels) {
  const uint16x8_t pairs = group->pairs, next_pairs = group->next_pairs;
  const uint16x8_t outputs = group->outputs;
  const int16x8_t first = group->first, second = group->second;
  const int16_t zero_point = (int16_t)params->input_zero_point;
  const int16_t output_zero_point = (int16_t)params->output_zero_point;
  const int32_t bits = 15 - params->coefficient_shift, step = 2 * params->channels;
  const int32_t count = pixels / 2;
  int16x8_t sums = vdupq_n_s16(0), others = sums; /* each pass overwrites all lanes */
  for (int32_t i = count; i > 0; --i, input += step, output += step) {
    const int16x8_t x = load_pairs(input, pairs, zero_point, bits);
    sums = fuse_pairs(sums, x, first);
    if (fusions == 2) others = fuse_pairs(others, x, second);
    const int16x8_t next_x = load_pairs(input, next_pairs, zero_point, bits);
    sums = fuse_next_pairs(sums, next_x, first);
    if (fusions == 2) {
      others = fuse_next_pairs(others, next_x, second);
      sums = vmaxq_s16(sums, others);
    }
    sums = vqaddq_n_s16(sums, output_zero_point);
    /* Saturated to int8 in the low byte of each lane; the high bytes are not stored. */
    others = vreinterpretq_s16_s8(vqmovnbq_s16(vreinterpretq_s8_s16(others), sums));
    vstrbq_scatter_offset_s16(output, outputs, others);
  }
  return count * step;
}

/* Any channels, limits and fusions, one pixel at a time. */
static void fuse_any_group(const shift_max_params *params, const fused_group *group,
                           const int8_t *input, int8_t *output, int32_t pixels) {
  const mve_pred16_t first_pixel = 0x3333; /* two bits for each lane */
  const mve_pred16_t lanes = group->lanes & first_pixel;
  const int16x8_t lowest = vdupq_n_s16((int16_t)params->lowest);
  const int16x8_t highest = vdupq_n_s16((int16_t)params->highest);
  const int32_t bits = 15 - params->coefficient_shift;
  for (int32_t i = 0; i < pixels; ++i, input += params->channels, output += params->channels) {
    const int16x8_t x = load_pairs(input, group->pairs, (int16_t)params->input_zero_point, bits);
    int16x8_t sums = vmaxq_s16(fuse_pairs(x, x, group->first), fuse_pairs(x, x, group->second));
    sums = vqaddq_n_s16(sums, (int16_t)params->output_zero_point);
    sums = vminq_s16(vmaxq_s16(sums, lowest), highest);
    vstrbq_scatter_offset_p_s16(output, group->outputs, sums, lanes);
  }
}

MICRONET_SHARED void micronet_dynamic_shift_max_s8_fuse_mve(
    const micronet_dynamic_shift_max_s8_params *params, const void *coefficients,
    const int8_t *input, int8_t *output, int32_t pixels) {
  const int has_limits = params->lowest != INT8_MIN || params->highest != INT8_MAX;
  for (int32_t first = 0; first < params->channels; first += GROUP) {
    const fused_group group = describe_group(params, coefficients, first);
    int32_t done = 0, pixels_left = pixels;
    if (group.is_whole && !has_limits) {
      done = params->fusions == 1 ? fuse_whole_group(params, &group, 1, input, output, pixels)
                                  : fuse_whole_group(params, &group, 2, input, output, pixels);
      pixels_left = pixels % 2;
    }
    fuse_any_group(params, &group, input + done, output + done, pixels_left);
  }
}

#endif

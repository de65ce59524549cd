/* SPDX-License-Identifier: Apache-2.0 */
/* What the implementations of `dense_s8` and `dense_s4` share. */
#ifndef MICRONET_DENSE_INTERNAL_H
#define MICRONET_DENSE_INTERNAL_H

#include "dense.h"
#include "processor.h"

#define MICRONET_DENSE_BLOCK 4 /* outputs whose weights stand together */
#define MICRONET_DENSE_STEP 8  /* inputs whose weights stand together */

/* Steps whose sums are taken apart together: of 63 * 8 inputs, a sum with 8-bit weights fits in 24
 * bits, and one with 4-bit weights in 20. */
#define MICRONET_DENSE_PIECE_STEPS 63

/* Numbers of eight inputs, with the incomplete one. */
static inline int32_t micronet_dense_steps(const micronet_dense_params *params) {
  return (params->inputs + MICRONET_DENSE_STEP - 1) / MICRONET_DENSE_STEP;
}

/* Place of an input among the eight of its step. */
static inline int32_t micronet_dense_place(int32_t input) {
  return (input & 4) | (input & 1) << 1 | (input & 2) >> 1;
}

/* The outputs of a block, of which there may be fewer than four, from their sums without bias. The
 * sums are unsigned because operands of a damaged file may wrap. */
static inline void micronet_dense_finish_block(const micronet_dense_params *params, int32_t first,
                                               const uint32_t *sums, int8_t *output) {
  const int32_t left = params->outputs - first;
  const int32_t count = left < MICRONET_DENSE_BLOCK ? left : MICRONET_DENSE_BLOCK;
#if defined(MICRONET_MVE)
  const mve_pred16_t is_output = vctp32q((uint32_t)count);
  const uint32x4_t places = vidupq_n_u32(0, 2);
  const int32_t *channels = params->channels + 2 * first;
  const int32x4_t biases = vldrwq_gather_shifted_offset_z_s32(channels, places, is_output);
  const int32x4_t multipliers = vldrwq_gather_shifted_offset_z_s32(channels + 1, places, is_output);
  const int32x4_t biased = vaddq_s32(vreinterpretq_s32_u32(vldrwq_u32(sums)), biases);
  int32x4_t results = vaddq_n_s32(vrmulhq_s32(biased, multipliers), params->output_zero_point);
  results = vmaxq_s32(results, vdupq_n_s32(params->lowest));
  results = vminq_s32(results, vdupq_n_s32(params->highest));
  if (params->has_table) {
    const uint32x4_t indices = vreinterpretq_u32_s32(vaddq_n_s32(results, 128));
    results = vldrbq_gather_offset_s32(params->table, indices);
  }
  vstrbq_p_s32(output + first, results, is_output);
#else
  const int32_t *channel = params->channels + 2 * first;
  const int32_t zero_point = params->output_zero_point;
  const int32_t lowest = params->lowest, highest = params->highest;
  const int8_t *table = params->has_table ? params->table + 128 : 0;
  output += first;
  for (int32_t i = 0; i < count; ++i, channel += 2) {
    const int32_t biased = (int32_t)(sums[i] + (uint32_t)channel[0]);
    const int32_t scaled = micronet_scale(biased, channel[1], zero_point);
    const int32_t result = micronet_clamp(scaled, lowest, highest);
    output[i] = table ? table[result] : (int8_t)result;
  }
#endif
}

static inline int micronet_dense_is_valid(const micronet_dense_params *params) {
  return micronet_is_within(params->inputs, 1, 4096) &&
         micronet_is_within(params->outputs, 1, 65536) &&
         (int64_t)params->inputs * params->outputs <= 1 << 24 &&
         micronet_is_within(params->output_zero_point, INT8_MIN, INT8_MAX) &&
         micronet_are_limits(params->lowest, params->highest) &&
         micronet_is_within(params->has_table, 0, 1);
}

static inline micronet_status micronet_dense_read_constants(const micronet_operands *operands,
                                                            int32_t bits,
                                                            micronet_dense_params *params) {
  const void *weights, *channels, *table = 0;
  const int64_t blocks = (params->outputs + MICRONET_DENSE_BLOCK - 1) / MICRONET_DENSE_BLOCK;
  if (operands->constant_count != 2 + params->has_table) return MICRONET_CONSTANT_COUNT;
  micronet_status status =
      micronet_read_constant(operands, 0, blocks * micronet_dense_steps(params),
                             bits * MICRONET_DENSE_BLOCK * MICRONET_DENSE_STEP / 8, &weights);
  if (status != MICRONET_OK) return status;
  status = micronet_read_constant(operands, 1, params->outputs, 2 * sizeof(int32_t), &channels);
  if (status != MICRONET_OK) return status;
  if (params->has_table) status = micronet_read_constant(operands, 2, 256, 1, &table);
  if (status != MICRONET_OK) return status;
  params->weights = weights;
  params->channels = channels;
  params->table = table;
  return micronet_check_channels(params->channels, params->outputs);
}

/* `bind` of both operators; bits: of a weight. */
static inline micronet_status micronet_dense_bind(const micronet_operands *operands,
                                                  int32_t version, int32_t bits,
                                                  micronet_dense_params *params) {
  enum { OPTION_COUNT = 6 };
  int32_t values[OPTION_COUNT];
  if (params == 0) return MICRONET_NULL_POINTER;
  const micronet_status status = micronet_read_options(operands, version, values, OPTION_COUNT);
  if (status != MICRONET_OK) return status;
  params->inputs = values[0];
  params->outputs = values[1];
  params->output_zero_point = values[2];
  params->lowest = values[3];
  params->highest = values[4];
  params->has_table = values[5];
  if (!micronet_dense_is_valid(params)) return MICRONET_OPTIONS_VALUE;
  return micronet_dense_read_constants(operands, bits, params);
}

#if defined(MICRONET_MVE)

/* Inputs as int16 in the order of the weights, with zeros up to a whole step. */
static inline void micronet_dense_expand_vectors(const int8_t *input, int32_t inputs,
                                                 int16_t *expanded) {
  static const uint16_t order[MICRONET_DENSE_STEP] = {0, 2, 1, 3, 4, 6, 5, 7};
  const uint16x8_t places = vldrhq_u16(order);
  for (int32_t left = inputs; left > 0; left -= MICRONET_DENSE_STEP) {
    const mve_pred16_t is_input = vcmphiq_u16(vdupq_n_u16((uint16_t)left), places);
    vstrhq_s16(expanded, vldrbq_gather_offset_z_s16(input, places, is_input));
    input += MICRONET_DENSE_STEP;
    expanded += MICRONET_DENSE_STEP;
  }
}

#endif

#if defined(MICRONET_DSP)

/* A whole step; returns where the next one goes. */
static inline uint32_t *micronet_dense_expand_step(const int8_t *input, uint32_t *expanded) {
  const uint32_t first = micronet_load_4(input), second = micronet_load_4(input + 4);
  expanded = micronet_store_2_words(expanded, micronet_sxtb16(first), micronet_sxtb16_ror8(first));
  return micronet_store_2_words(expanded, micronet_sxtb16(second), micronet_sxtb16_ror8(second));
}

/* Inputs as int16 in the order of the weights, with zeros up to a whole step. */
static inline void micronet_dense_expand_words(const int8_t *input, int32_t inputs,
                                               uint32_t *expanded) {
  for (; inputs >= MICRONET_DENSE_STEP; inputs -= MICRONET_DENSE_STEP) {
    expanded = micronet_dense_expand_step(input, expanded);
    input += MICRONET_DENSE_STEP;
  }
  if (inputs > 0) {
    int8_t rest[MICRONET_DENSE_STEP] = {0};
    for (int32_t i = 0; i < inputs; ++i) rest[i] = input[i];
    micronet_dense_expand_step(rest, expanded);
  }
}

#endif

#endif

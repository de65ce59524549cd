/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "channel_sums.h"
#include "dynamic_shift_max_s8_internal.h"

typedef micronet_dynamic_shift_max_s8_params shift_max_params;

static void average(const shift_max_params *params, const int8_t *input, int16_t *means) {
  const int32_t channels = params->channels;
  const int32_t end = micronet_dynamic_shift_max_s8_rounded_up(channels);
  int32_t sums[MICRONET_CHANNEL_SUMS_MOST];
  for (int32_t first = 0; first < channels; first += MICRONET_CHANNEL_SUMS_MOST) {
    const int32_t left = channels - first;
    const int32_t count = left < MICRONET_CHANNEL_SUMS_MOST ? left : MICRONET_CHANNEL_SUMS_MOST;
    micronet_channel_sums(input + first, params->pixels, channels, count, sums);
    for (int32_t i = 0; i < count; ++i) {
      const int32_t sum = sums[i] - params->input_zero_point * params->pixels;
      means[first + i] = micronet_dynamic_shift_max_s8_mean(sum, params->pixels);
    }
  }
  for (int32_t i = channels; i < end; ++i) means[i] = 0;
}

/* The row's products, `columns` of them, and its bias. */
static int32_t multiply_row(const int8_t *weights, const int32_t *constants, const int16_t *values,
                            int32_t row, int32_t columns) {
  enum { BLOCK = MICRONET_DYNAMIC_SHIFT_MAX_S8_BLOCK };
  const int8_t *source = weights + row / BLOCK * BLOCK * columns + row % BLOCK * BLOCK;
  uint32_t sum = (uint32_t)constants[row];
  for (int32_t column = 0; column < columns; column += BLOCK, source += BLOCK * BLOCK) {
    const int16_t *four = values + column;
    sum += (uint32_t)(source[0] * (four[0] + source[1]) + source[1] * four[2]);
    sum += (uint32_t)(source[2] * (four[1] + source[3]) + source[3] * four[3]);
  }
  return (int32_t)sum;
}

static void squeeze(const shift_max_params *params, const int16_t *means, int16_t *hidden) {
  enum { MIDDLE = MICRONET_DYNAMIC_SHIFT_MAX_S8_MIDDLE };
  const int32_t rows = micronet_dynamic_shift_max_s8_rounded_up(params->squeeze_channels);
  const int32_t columns = micronet_dynamic_shift_max_s8_rounded_up(params->channels);
  for (int32_t row = 0; row < rows; ++row) {
    const int32_t sum =
        multiply_row(params->squeeze_weights, params->squeeze_constants, means, row, columns);
    const int32_t result = micronet_scale(sum, params->squeeze_constants[rows + row], 0);
    hidden[row] = (int16_t)(micronet_clamp(result, 0, INT16_MAX) - MIDDLE);
  }
}

static void excite(const shift_max_params *params, const int16_t *hidden, int16_t *coefficients) {
  const int32_t columns = micronet_dynamic_shift_max_s8_rounded_up(params->squeeze_channels);
  const int32_t fusion_rows = 2 * micronet_dynamic_shift_max_s8_rounded_up(params->channels);
  const int32_t rows = params->fusions * fusion_rows;
  const int32_t *multipliers = params->excite_constants + rows;
  for (int32_t row = 0; row < rows; ++row) {
    const int32_t multiplier = params->excite_multiplier_each
                                   ? multipliers[row]
                                   : multipliers[row / fusion_rows * 4 + row % 2];
    const int16_t *limits = params->coefficient_limits + row / fusion_rows * 4 + row % 2 * 2;
    const int32_t sum =
        multiply_row(params->excite_weights, params->excite_constants, hidden, row, columns);
    const int32_t result = micronet_scale(sum, multiplier, 0);
    coefficients[row] = (int16_t)micronet_clamp(result, limits[0], limits[1]);
  }
}

/* Multiplies the coefficients by the factors of their channels. */
static void apply_factors(const shift_max_params *params, int16_t *coefficients) {
  const int32_t step = 2 * micronet_dynamic_shift_max_s8_rounded_up(params->channels);
  for (int32_t channel = 0; channel < params->channels; ++channel) {
    const micronet_dynamic_shift_max_s8_factors factors =
        micronet_dynamic_shift_max_s8_factors_of(params, channel);
    int16_t *pair = coefficients + 2 * channel;
    for (int32_t k = 0; k < params->fusions; ++k, pair += step) {
      pair[0] = (int16_t)((pair[0] * factors.a + 512) >> 10);
      pair[1] = (int16_t)((pair[1] * factors.b + 512) >> 10);
    }
  }
}

MICRONET_SHARED void micronet_dynamic_shift_max_s8_coefficients_scalar(
    const micronet_dynamic_shift_max_s8_params *params, const int8_t *input,
    const micronet_dynamic_shift_max_s8_buffer *buffer) {
  average(params, input, buffer->means);
  squeeze(params, buffer->means, buffer->hidden);
  excite(params, buffer->hidden, buffer->coefficients);
  if (params->channel_factors != 0) apply_factors(params, buffer->coefficients);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "dynamic_shift_max_s8_internal.h"

enum {
  OPTION_COUNT = 9,
  LEAST_CONSTANTS = 7,
  MOST_CONSTANTS = 8, /* the last are the factors of channels that have any */
  MOST_PIXELS = 65536,
  MOST_CHANNELS = 4096,
  LARGEST_MEAN = 64 * 255,
  LARGEST_HIDDEN = INT16_MAX
};

static micronet_status read_options(const micronet_operands *operands,
                                    micronet_dynamic_shift_max_s8_params *params) {
  int32_t values[OPTION_COUNT];
  const micronet_status status =
      micronet_read_options(operands, MICRONET_DYNAMIC_SHIFT_MAX_S8_VERSION, values, OPTION_COUNT);
  if (status != MICRONET_OK) return status;
  params->pixels = values[0];
  params->channels = values[1];
  params->squeeze_channels = values[2];
  params->fusions = values[3];
  params->coefficient_shift = values[4];
  params->input_zero_point = values[5];
  params->output_zero_point = values[6];
  params->lowest = values[7];
  params->highest = values[8];
  const int is_valid = micronet_is_within(params->pixels, 1, MOST_PIXELS) &&
                       micronet_is_within(params->channels, 1, MOST_CHANNELS) &&
                       (int64_t)params->pixels * params->channels <= 1 << 24 &&
                       micronet_is_within(params->squeeze_channels, 1, MOST_CHANNELS) &&
                       micronet_is_within(params->fusions, 1, 2) &&
                       micronet_is_within(params->coefficient_shift, 4, 14) &&
                       micronet_is_within(params->input_zero_point, INT8_MIN, INT8_MAX) &&
                       micronet_is_within(params->output_zero_point, INT8_MIN, INT8_MAX) &&
                       micronet_are_limits(params->lowest, params->highest);
  return is_valid ? MICRONET_OK : MICRONET_OPTIONS_VALUE;
}

static micronet_status read_constants(const micronet_operands *operands,
                                      micronet_dynamic_shift_max_s8_params *params) {
  const int64_t columns = micronet_dynamic_shift_max_s8_rounded_up(params->channels);
  const int64_t squeeze_rows = micronet_dynamic_shift_max_s8_rounded_up(params->squeeze_channels);
  const int64_t excite_rows = 2 * params->fusions * columns;
  const int32_t count = operands->constant_count;
  if (!micronet_is_within(count, LEAST_CONSTANTS, MOST_CONSTANTS)) return MICRONET_CONSTANT_COUNT;
  if (operands->constants == 0) return MICRONET_NULL_POINTER;
  params->excite_multiplier_each = operands->constants[3].bytes == 2 * excite_rows * 4;
  const int64_t multipliers = params->excite_multiplier_each ? excite_rows : 4 * params->fusions;
  const struct {
    int64_t count, element_bytes;
  } expected[MOST_CONSTANTS] = {
      {squeeze_rows * columns, 1},    {2 * squeeze_rows, 4},     {excite_rows * squeeze_rows, 1},
      {excite_rows + multipliers, 4}, {4 * params->fusions, 2},  {params->channels, 2},
      {params->channels, 2},          {2 * params->channels, 1},
  };
  const void *data[MOST_CONSTANTS] = {0};
  for (int32_t i = 0; i < count; ++i) {
    const micronet_status status =
        micronet_read_constant(operands, i, expected[i].count, expected[i].element_bytes, &data[i]);
    if (status != MICRONET_OK) return status;
  }
  params->squeeze_weights = data[0];
  params->squeeze_constants = data[1];
  params->excite_weights = data[2];
  params->excite_constants = data[3];
  params->coefficient_limits = data[4];
  params->shift = data[5];
  params->output_positions = data[6];
  params->channel_factors = data[7];
  return MICRONET_OK;
}

/* What the largest size of a row's sum may be, whatever its inputs up to `largest_input` are.
 *
 * middle: what is subtracted from the inputs. */
static int64_t largest_sum(const int8_t *weights, const int32_t *constants, int32_t row,
                           int32_t columns, int32_t largest_input, int32_t middle) {
  enum { BLOCK = MICRONET_DYNAMIC_SHIFT_MAX_S8_BLOCK };
  const int8_t *source = weights + row / BLOCK * BLOCK * columns + row % BLOCK * BLOCK;
  uint32_t wrapped = (uint32_t)constants[row];
  int64_t sum = 0;
  for (int32_t column = 0; column < columns; column += BLOCK, source += BLOCK * BLOCK) {
    wrapped += (uint32_t)(source[0] * source[1] + source[2] * source[3]);
    for (int32_t i = 0; i < BLOCK; ++i) {
      wrapped -= (uint32_t)(middle * source[i]);
      sum += source[i] < 0 ? -source[i] : source[i];
    }
  }
  const int64_t bias = (int32_t)wrapped;
  return sum * largest_input + (bias < 0 ? -bias : bias);
}

/* Checks that multipliers, which follow the biases, are not negative, and that all sums fit in
 * int32. */
static micronet_status check_layer(const int8_t *weights, const int32_t *constants, int32_t rows,
                                   int32_t multipliers, int32_t columns, int32_t largest_input,
                                   int32_t middle) {
  for (int32_t row = 0; row < rows; ++row) {
    if (largest_sum(weights, constants, row, columns, largest_input, middle) > INT32_MAX) {
      return MICRONET_CONSTANT_VALUE;
    }
  }
  for (int32_t i = 0; i < multipliers; ++i) {
    if (constants[rows + i] < 0) return MICRONET_CONSTANT_VALUE;
  }
  return MICRONET_OK;
}

/* Checks that factors are positive, and that coefficients times their factors fit in int16. Shifts
 * have been checked. */
static micronet_status check_factors(const micronet_dynamic_shift_max_s8_params *params) {
  if (params->channel_factors == 0) return MICRONET_OK;
  for (int32_t i = 0; i < 2 * params->channels; ++i) {
    if (params->channel_factors[i] < 1) return MICRONET_CONSTANT_VALUE;
  }
  int32_t largest[2] = {0, 0}; /* of a and of b */
  for (int32_t i = 0; i < 4 * params->fusions; ++i) {
    const int32_t limit = params->coefficient_limits[i];
    const int32_t size = limit < 0 ? -limit : limit;
    int32_t *of_this = &largest[i / 2 % 2];
    if (size > *of_this) *of_this = size;
  }
  for (int32_t i = 0; i < params->channels; ++i) {
    const micronet_dynamic_shift_max_s8_factors factors =
        micronet_dynamic_shift_max_s8_factors_of(params, i);
    if ((largest[0] * factors.a + 512) >> 10 > INT16_MAX) return MICRONET_CONSTANT_VALUE;
    if ((largest[1] * factors.b + 512) >> 10 > INT16_MAX) return MICRONET_CONSTANT_VALUE;
  }
  return MICRONET_OK;
}

static micronet_status check_constants(const micronet_dynamic_shift_max_s8_params *params) {
  const int32_t columns = micronet_dynamic_shift_max_s8_rounded_up(params->channels);
  const int32_t squeeze_rows = micronet_dynamic_shift_max_s8_rounded_up(params->squeeze_channels);
  micronet_status status = check_layer(params->squeeze_weights, params->squeeze_constants,
                                       squeeze_rows, squeeze_rows, columns, LARGEST_MEAN, 0);
  if (status != MICRONET_OK) return status;
  const int32_t excite_rows = 2 * params->fusions * columns;
  status = check_layer(params->excite_weights, params->excite_constants, excite_rows,
                       params->excite_multiplier_each ? excite_rows : 4 * params->fusions,
                       squeeze_rows, LARGEST_HIDDEN, MICRONET_DYNAMIC_SHIFT_MAX_S8_MIDDLE);
  if (status != MICRONET_OK) return status;
  for (int32_t i = 0; i < 2 * params->fusions; ++i) {
    const int16_t *limits = params->coefficient_limits + 2 * i;
    if (limits[0] > limits[1]) return MICRONET_CONSTANT_VALUE;
  }
  status = micronet_check_permutation(params->shift, params->channels);
  if (status != MICRONET_OK) return status;
  status = check_factors(params);
  if (status != MICRONET_OK) return status;
  return micronet_check_permutation(params->output_positions, params->channels);
}

MICRONET_SHARED micronet_status micronet_dynamic_shift_max_s8_bind(
    const micronet_operands *operands, micronet_dynamic_shift_max_s8_params *params) {
  if (params == 0) return MICRONET_NULL_POINTER;
  micronet_status status = read_options(operands, params);
  if (status != MICRONET_OK) return status;
  status = read_constants(operands, params);
  if (status != MICRONET_OK) return status;
  return check_constants(params);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the model file says about one operator: options and constants, not yet trusted. */
#ifndef MICRONET_OPERANDS_H
#define MICRONET_OPERANDS_H

#include <stdint.h>

#include "micronet_status.h"

/* One constant. */
typedef struct {
  const void *data; /* at a multiple of 4 bytes */
  int32_t bytes;
} micronet_constant;

/* Options and constants of one operator; the model file's own memory. */
typedef struct {
  const uint8_t *options; /* little-endian int32 values; the first is the version. Any alignment */
  int32_t options_bytes;
  const micronet_constant *constants;
  int32_t constant_count;
} micronet_operands;

/* Whether an option is in its range. */
static inline int micronet_is_within(int32_t value, int32_t lowest, int32_t highest) {
  return lowest <= value && value <= highest;
}

/* Whether limits of int8 results are within int8 and in order. */
static inline int micronet_are_limits(int32_t lowest, int32_t highest) {
  return micronet_is_within(highest, INT8_MIN, INT8_MAX) &&
         micronet_is_within(lowest, INT8_MIN, highest);
}

/* Reads the options behind the version.
 *
 * version: the only one that is accepted.
 * values: receives `count` options.
 * Returns MICRONET_OK, or MICRONET_NULL_POINTER, MICRONET_OPTIONS_SIZE,
 * MICRONET_OPTIONS_VERSION. */
micronet_status micronet_read_options(const micronet_operands *operands, int32_t version,
                                      int32_t *values, int32_t count);

/* Checks that the constant at `index` exists, is aligned and has `count` elements of
 * `element_bytes` (which may be any numbers that fit in int64).
 *
 * data: receives the constant's address.
 * Returns MICRONET_OK, or MICRONET_NULL_POINTER, MICRONET_CONSTANT_COUNT, MICRONET_CONSTANT_SIZE,
 * MICRONET_CONSTANT_ALIGNMENT. */
micronet_status micronet_read_constant(const micronet_operands *operands, int32_t index,
                                       int64_t count, int64_t element_bytes, const void **data);

/* Checks that `positions` (int16, `count` elements) holds each of 0 .. count - 1 once.
 *
 * Returns MICRONET_OK or MICRONET_CONSTANT_VALUE. Takes count^2 / 2 steps, and no memory. */
micronet_status micronet_check_permutation(const int16_t *positions, int32_t count);

/* Checks that requantization multipliers are not negative.
 *
 * channels: pairs of int32, bias and multiplier, `count` of them.
 * Returns MICRONET_OK or MICRONET_CONSTANT_VALUE. */
micronet_status micronet_check_channels(const int32_t *channels, int32_t count);

#endif

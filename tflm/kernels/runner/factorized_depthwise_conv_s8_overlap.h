/* SPDX-License-Identifier: Apache-2.0 */
/* factorized_depthwise_conv_s8 for kernel_runner.c: its output is at the beginning of the memory at
 * whose end its input is. */
#ifndef FACTORIZED_DEPTHWISE_CONV_S8_OVERLAP_H
#define FACTORIZED_DEPTHWISE_CONV_S8_OVERLAP_H

#include "factorized_depthwise_conv_s8.h"

static inline micronet_status factorized_depthwise_conv_s8_overlap(
    const micronet_factorized_depthwise_conv_s8_params *params, int8_t *memory,
    int32_t memory_bytes, void *buffer) {
  const int32_t input_bytes = params->height * params->width * params->channels;
  const int8_t *input = memory + memory_bytes - input_bytes;
  return micronet_factorized_depthwise_conv_s8(params, input, memory, buffer);
}
#define RUNNER_OVERLAP factorized_depthwise_conv_s8_overlap

#endif

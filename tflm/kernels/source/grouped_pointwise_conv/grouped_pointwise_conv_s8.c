/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "grouped_pointwise_conv_s8_internal.h"

/* The implementations saturate to int8 for free; narrower limits are a second pass. */
static void clamp_map(const micronet_grouped_pointwise_conv_s8_params *params, int8_t *output) {
  const int8_t *end = output + params->pixels * params->groups * params->outputs;
#if defined(MICRONET_DSP)
  const uint32_t lowest = (uint8_t)params->lowest * 0x01010101u;
  const uint32_t highest = (uint8_t)params->highest * 0x01010101u;
  for (; end - output >= 4; output += 4) {
    const uint32_t raised = micronet_maximum_4(micronet_load_4(output), lowest);
    const uint32_t clamped = micronet_minimum_4(raised, highest);
    memcpy(output, &clamped, 4);
  }
#endif
  for (; output != end; ++output) {
    *output = (int8_t)micronet_clamp(*output, params->lowest, params->highest);
  }
}

MICRONET_SHARED micronet_status
micronet_grouped_pointwise_conv_s8(const micronet_grouped_pointwise_conv_s8_params *params,
                                   const int8_t *input, int8_t *output, void *buffer) {
  if (params == 0 || input == 0 || output == 0 || buffer == 0) return MICRONET_NULL_POINTER;
#if defined(MICRONET_MVE)
  micronet_grouped_pointwise_conv_s8_mve(params, input, output, buffer);
#elif defined(MICRONET_DSP)
  micronet_grouped_pointwise_conv_s8_dsp(params, input, output, buffer);
#else
  micronet_grouped_pointwise_conv_s8_scalar(params, input, output);
#endif
  if (params->lowest > INT8_MIN || params->highest < INT8_MAX) clamp_map(params, output);
  return MICRONET_OK;
}

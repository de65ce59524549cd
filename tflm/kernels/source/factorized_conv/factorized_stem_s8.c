/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "factorized_stem_s8_internal.h"

/* The strip that begins with row `y` of the output, as long as its windows have the same taps. */
static factorized_stem_strip strip_at(const micronet_factorized_conv_params *params,
                                      const int8_t *input, int32_t y) {
  const int32_t taps = params->vertical.taps;
  const int32_t row_bytes = params->width * params->channels;
  const factorized_window window = factorized_vertical_window(params, y);
  factorized_stem_strip strip = {1, window.first, window.last, {0}};
  if (window.first == 0 && window.last == taps) {
    strip.count += (params->height - taps - window.start) / params->vertical.stride;
  }
  for (int32_t tap = 0; tap < taps; ++tap) {
    const int32_t row = window.start + micronet_clamp(tap, window.first, window.last - 1);
    strip.rows[tap] = input + row * row_bytes;
  }
  return strip;
}

MICRONET_SHARED micronet_status
micronet_factorized_stem_s8(const micronet_factorized_stem_s8_params *params, const int8_t *input,
                            int8_t *output, void *buffer) {
  if (params == 0 || input == 0 || output == 0 || buffer == 0) return MICRONET_NULL_POINTER;
  const int32_t height = factorized_output_height(params);
  const int32_t row_bytes = factorized_output_width(params) * params->horizontal.channels;
  int32_t count;
  for (int32_t y = 0; y < height; y += count) {
    const factorized_stem_strip strip = strip_at(params, input, y);
    micronet_factorized_stem_s8_strip(params, &strip, output + y * row_bytes, buffer);
    count = strip.count;
  }
  return MICRONET_OK;
}

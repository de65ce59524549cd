/* SPDX-License-Identifier: Apache-2.0 */
#include "factorized_conv_dsp.h"
#include "factorized_conv_mve.h"
#include "factorized_stem_s8_internal.h"

#if defined(MICRONET_MVE)
static int is_for_mve(const micronet_factorized_conv_params *params) {
  return params->channels == 3 && params->vertical.taps == 3 && factorized_is_for_mve(params) &&
         factorized_output_width(params) >= FACTORIZED_LANES;
}
#endif

#if defined(MICRONET_DSP)
static int is_for_dsp(const micronet_factorized_conv_params *params) {
  return params->channels == 3 && params->width > 1 && params->vertical.taps == 3 &&
         factorized_is_full_range(&params->vertical) &&
         factorized_is_full_range(&params->horizontal) &&
         factorized_is_for_dsp(&params->horizontal);
}
#endif

void micronet_factorized_stem_s8_strip(const micronet_factorized_stem_s8_params *params,
                                       const factorized_stem_strip *strip, int8_t *output,
                                       void *buffer) {
#if defined(MICRONET_MVE)
  if (is_for_mve(params)) {
    micronet_factorized_stem_s8_mve(params, strip, output, buffer);
    return;
  }
#endif
#if defined(MICRONET_DSP)
  if (is_for_dsp(params)) {
    micronet_factorized_stem_s8_dsp(params, strip, output, buffer);
    return;
  }
#endif
  micronet_factorized_stem_s8_scalar(params, strip, output, buffer);
}

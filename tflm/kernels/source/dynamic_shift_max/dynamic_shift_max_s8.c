#include "dynamic_shift_max_s8_internal.h"

micronet_status micronet_dynamic_shift_max_s8(const micronet_dynamic_shift_max_s8_params *params,
                                              const int8_t *input, int8_t *output, void *buffer) {
  if (params == 0 || input == 0 || output == 0 || buffer == 0) return MICRONET_NULL_POINTER;
#if defined(MICRONET_MVE)
  /* The vector instructions keep 16 bits of a product: enough for these shifts. */
  if (params->coefficient_shift >= 8) {
    micronet_dynamic_shift_max_s8_mve(params, input, output, buffer);
    return MICRONET_OK;
  }
#endif
#if defined(MICRONET_DSP)
  micronet_dynamic_shift_max_s8_dsp(params, input, output, buffer);
#else
  micronet_dynamic_shift_max_s8_scalar(params, input, output, buffer);
#endif
  return MICRONET_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "residual_add_s8_internal.h"

#if defined(MICRONET_DSP)

/* pair: of the first map in the low halfword, of the second in the high one. */
static inline int8_t add(uint32_t pair, uint32_t multipliers, int32_t offset) {
  return (int8_t)micronet_saturate_int8_asr12(micronet_smlad(pair, multipliers, offset));
}

MICRONET_SHARED void micronet_residual_add_s8_dsp(const micronet_residual_add_s8_params *params,
                                                  const int8_t *first, const int8_t *second,
                                                  int8_t *output) {
  const uint32_t multipliers =
      micronet_pack_low((uint32_t)params->first_multiplier, (uint32_t)params->second_multiplier);
  const int32_t offset = params->offset, elements = params->elements;
  const int8_t *words_end = first + (elements & ~3), *end = first + elements;
  while (first != words_end) {
    const uint32_t word = micronet_load_4(first), second_word = micronet_load_4(second);
    const uint32_t low = micronet_pack_low(word, second_word);
    const uint32_t high = micronet_pack_high(word, second_word);
    output[0] = add(micronet_sxtb16(low), multipliers, offset);
    output[1] = add(micronet_sxtb16_ror8(low), multipliers, offset);
    output[2] = add(micronet_sxtb16(high), multipliers, offset);
    output[3] = add(micronet_sxtb16_ror8(high), multipliers, offset);
    first += 4;
    second += 4;
    output += 4;
  }
  while (first != end) {
    const uint32_t pair =
        micronet_pack_low((uint32_t)(int32_t)*first++, (uint32_t)(int32_t)*second++);
    *output++ = add(pair, multipliers, offset);
  }
}

#endif

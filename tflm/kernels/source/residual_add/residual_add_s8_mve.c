/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "residual_add_s8_internal.h"

#if defined(MICRONET_MVE)

enum { LANES = 8, HALF = 1 << (MICRONET_RESIDUAL_ADD_S8_SHIFT - 1) };

/* results: which the sums overwrite.
 * VQRSHRN adds the half that rounds, so it is taken out of the offset. (VQSHRN, which does not, is
 * assembled as VQRSHRN by binutils 2.40.) */
static inline int16x8_t add(const micronet_residual_add_s8_params *params, int16x8_t first,
                            int16x8_t second, int16x8_t results) {
  const int32x4_t first_multiplier = vdupq_n_s32(params->first_multiplier);
  const int32_t second_multiplier = params->second_multiplier, offset = params->offset - HALF;
  int32x4_t even = vmlasq_n_s32(vmovlbq_s16(first), first_multiplier, offset);
  int32x4_t odd = vmlasq_n_s32(vmovltq_s16(first), first_multiplier, offset);
  even = vmlaq_n_s32(even, vmovlbq_s16(second), second_multiplier);
  odd = vmlaq_n_s32(odd, vmovltq_s16(second), second_multiplier);
  results = vqrshrnbq_n_s32(results, even, MICRONET_RESIDUAL_ADD_S8_SHIFT);
  results = vqrshrntq_n_s32(results, odd, MICRONET_RESIDUAL_ADD_S8_SHIFT);
  results = vmaxq_s16(results, vdupq_n_s16((int16_t)params->lowest));
  return vminq_s16(results, vdupq_n_s16((int16_t)params->highest));
}

MICRONET_SHARED void micronet_residual_add_s8_mve(const micronet_residual_add_s8_params *params,
                                                  const int8_t *first, const int8_t *second,
                                                  int8_t *output) {
  const micronet_residual_add_s8_params values = *params; /* which no store to the output changes */
  int16x8_t results = vdupq_n_s16(0);
  for (int32_t i = values.elements / LANES; i > 0; --i) {
    results = add(&values, vldrbq_s16(first), vldrbq_s16(second), results);
    vstrbq_s16(output, results);
    first += LANES;
    second += LANES;
    output += LANES;
  }
  const mve_pred16_t rest = vctp16q((uint32_t)(values.elements % LANES));
  results = add(&values, vldrbq_z_s16(first, rest), vldrbq_z_s16(second, rest), results);
  vstrbq_p_s16(output, results, rest);
}

#endif

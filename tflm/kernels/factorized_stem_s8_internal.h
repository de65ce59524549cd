/* Implementations of factorized_stem_s8, which picks one: internal. */
#ifndef MICRONET_FACTORIZED_STEM_S8_INTERNAL_H
#define MICRONET_FACTORIZED_STEM_S8_INTERNAL_H

#include "factorized_conv_internal.h"
#include "factorized_stem_s8.h"

/* Any operands. */
void micronet_factorized_stem_s8_scalar(const micronet_factorized_stem_s8_params *params,
                                        const int8_t *input, int8_t *output, int8_t *buffer);

#if defined(MICRONET_DSP)
/* 3 channels and 3 vertical taps; 3 or 5 horizontal taps and stride 1 or 2; all limits the ends of
 * int8; a width of at least 2. */
void micronet_factorized_stem_s8_dsp(const micronet_factorized_stem_s8_params *params,
                                     const int8_t *input, int8_t *output, int16_t *buffer);
#endif

#if defined(MICRONET_MVE)
/* 3 channels and 3 vertical taps; 3 or 5 horizontal taps; a width and an output's width of at least
 * 4. */
void micronet_factorized_stem_s8_mve(const micronet_factorized_stem_s8_params *params,
                                     const int8_t *input, int8_t *output, int8_t *buffer);
#endif

#endif

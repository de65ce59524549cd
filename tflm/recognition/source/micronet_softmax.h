/* SPDX-License-Identifier: Apache-2.0 */
/* What functions that compute probabilities share; not for others to include.
 *
 * Each exponential is divided by their sum, as a multiplication with the sum's reciprocal. An
 * exponential in Q24 is at most 2^24, which the best class has, so that the sum is at least that,
 * the reciprocal in Q55 at most 2^31, and their product at most 2^55. */
#ifndef MICRONET_SOFTMAX_H
#define MICRONET_SOFTMAX_H

#include "micronet_scores.h"

/* The reciprocal, in Q55, of the sum of all classes' exponentials in Q24. */
static inline uint32_t micronet_softmax_reciprocal(const int8_t *scores, int32_t count,
                                                   const uint32_t *exponentials, int32_t best) {
  uint64_t sum = 0;
  for (int32_t i = 0; i < count; ++i) sum += exponentials[scores[best] - scores[i]];
  return (uint32_t)(((uint64_t)1 << 55) / sum);
}

/* A share of one, in Q15, rounded. */
static inline uint16_t micronet_softmax_share(uint32_t exponential, uint32_t reciprocal) {
  return (uint16_t)(((uint64_t)exponential * reciprocal + ((uint64_t)1 << 39)) >> 40);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "micronet_scores.h"
#include "micronet_softmax.h"

MICRONET_SHARED void micronet_probabilities(const int8_t *scores, int32_t count,
                                            const uint32_t *exponentials, uint16_t *probabilities) {
  const int32_t best = micronet_argmax(scores, count);
  const uint32_t reciprocal = micronet_softmax_reciprocal(scores, count, exponentials, best);
  for (int32_t i = 0; i < count; ++i) {
    probabilities[i] = micronet_softmax_share(exponentials[scores[best] - scores[i]], reciprocal);
  }
}

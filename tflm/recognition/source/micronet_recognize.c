/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include <stddef.h>

#include "micronet_scores.h"
#include "micronet_softmax.h"

MICRONET_SHARED int32_t micronet_recognize(const int8_t *scores, int32_t count,
                                           const uint32_t *exponentials, uint16_t threshold,
                                           uint16_t *probability) {
  const int32_t best = micronet_argmax(scores, count);
  const uint32_t reciprocal = micronet_softmax_reciprocal(scores, count, exponentials, best);
  const uint16_t highest = micronet_softmax_share(exponentials[0], reciprocal);
  if (probability != NULL) *probability = highest;
  return highest >= threshold ? best : MICRONET_NONE_OF_THESE;
}

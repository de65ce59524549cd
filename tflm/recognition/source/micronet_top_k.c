/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "micronet_scores.h"

/* `indices` is sorted at all times. Most classes of many fail at the first comparison. */
MICRONET_SHARED int32_t micronet_top_k(const int8_t *scores, int32_t count, int32_t k,
                                       int32_t *indices) {
  int32_t found = 0;
  for (int32_t i = 0; i < count; ++i) {
    int32_t place = found;
    while (place > 0 && scores[i] > scores[indices[place - 1]]) --place;
    if (place >= k) continue;
    if (found < k) ++found;
    for (int32_t later = found - 1; later > place; --later) indices[later] = indices[later - 1];
    indices[place] = i;
  }
  return found;
}

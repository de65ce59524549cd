/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "micronet_objects.h"

MICRONET_SHARED void micronet_class_map(const int8_t *scores, const micronet_grid *grid,
                                        uint8_t *classes, int32_t *counts) {
  const int32_t cells = grid->rows * grid->columns;
  for (int32_t i = 0; i < grid->answers; ++i) counts[i] = 0;
  for (int32_t i = 0; i < cells; ++i) {
    const int32_t answer = micronet_argmax(scores + i * grid->answers, grid->answers);
    classes[i] = (uint8_t)answer;
    ++counts[answer];
  }
}

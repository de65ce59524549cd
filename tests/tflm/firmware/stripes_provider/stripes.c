/* SPDX-License-Identifier: Apache-2.0 */
#include "stripes.h"

void DrawStripes(int32_t picture, int32_t y, int32_t width, uint8_t *row) {
  for (int32_t i = 0; i < 3 * width; ++i) {
    row[i] = (uint8_t)(50 * picture + 23 * y + 11 * (i / 3) + 90 * (i % 3));
  }
}

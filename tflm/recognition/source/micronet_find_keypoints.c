/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "micronet_neighbours.h"

/* The cell where a joint is most probable, the first of several. scores: of the first cell. */
static int32_t likeliest_cell(const int8_t *scores, int32_t cells, int32_t answers,
                              const uint16_t *sigmoids) {
  int32_t likeliest = 0;
  int32_t highest = MICRONET_NO_NEIGHBOUR;
  for (int32_t cell = 0; cell < cells; ++cell, scores += answers) {
    const int32_t chance = sigmoids[*scores - INT8_MIN];
    if (chance > highest) {
      highest = chance;
      likeliest = cell;
    }
  }
  return likeliest;
}

MICRONET_SHARED int32_t micronet_find_keypoints(const int8_t *scores, const micronet_grid *grid,
                                                const uint16_t *sigmoids,
                                                const uint16_t *thresholds,
                                                const micronet_view *view,
                                                micronet_object *joints) {
  const int32_t rows = grid->rows;
  const int32_t columns = grid->columns;
  const int32_t answers = grid->answers;
  int32_t found = 0;
  for (int32_t joint = 0; joint < answers; ++joint) {
    const int8_t *heatmap = scores + joint;
    const int32_t cell = likeliest_cell(heatmap, rows * columns, answers, sigmoids);
    const int32_t row = cell / columns;
    const int32_t column = cell % columns;
    if (sigmoids[heatmap[cell * answers] - INT8_MIN] < thresholds[joint]) continue;
    int32_t chances[MICRONET_NEIGHBOURS];
    for (int32_t i = 0; i < MICRONET_NEIGHBOURS; ++i) {
      const int32_t y = row - 1 + i / 3;
      const int32_t x = column - 1 + i % 3;
      const int is_inside = y >= 0 && y < rows && x >= 0 && x < columns;
      chances[i] = is_inside ? sigmoids[heatmap[(y * columns + x) * answers] - INT8_MIN]
                             : MICRONET_NO_NEIGHBOUR;
    }
    joints[found++] =
        micronet_merge_neighbours(grid, view, row, column, joint, chances, thresholds[joint]);
  }
  return found;
}

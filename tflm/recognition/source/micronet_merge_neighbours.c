/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "micronet_neighbours.h"

enum { CELL = 256 /* the side of a cell in Q8 */ };

/* Pixels of the frame that so many 256ths of a cell are, rounded. At most 2^20 of the input's
 * pixels in Q8 times 2^16 of the part. */
static int32_t in_pixels(int32_t cells, int32_t stride, int32_t part, int32_t side) {
  const uint32_t divisor = (uint32_t)(side * CELL);
  return (int32_t)(((uint64_t)(uint32_t)(cells * stride) * (uint32_t)part + divisor / 2) / divisor);
}

/* One direction. place: the cell's row or column. chances: the class's sums in the neighbours
 * before, the cell's line, and those behind. Returns the centre from the edge of the part. */
static int32_t centre(int32_t place, const int32_t *sums, int32_t total, int32_t stride,
                      int32_t part, int32_t side) {
  /* From the centre of the neighbour before, so that nothing is negative. At most
   * 9 * 2^15 * 2 * 2^8, 28 bits. */
  const int32_t offset = ((sums[1] + 2 * sums[2]) * CELL + total / 2) / total;
  const int32_t pixels = in_pixels(place * CELL - CELL / 2 + offset, stride, part, side);
  return pixels < part ? pixels : part;
}

/* Cells of a direction from the first to the last of those that are set. */
static int32_t extent(const int32_t *is_set) { return 1 + (is_set[0] != 0) + (is_set[2] != 0); }

MICRONET_SHARED micronet_object micronet_merge_neighbours(const micronet_grid *grid,
                                                          const micronet_view *view, int32_t row,
                                                          int32_t column, int32_t class_index,
                                                          const int32_t *chances,
                                                          int32_t threshold) {
  int32_t sums_down[3] = {0, 0, 0};
  int32_t sums_right[3] = {0, 0, 0};
  int32_t has_down[3] = {0, 0, 0};
  int32_t has_right[3] = {0, 0, 0};
  int32_t total = 0;
  for (int32_t i = 0; i < MICRONET_NEIGHBOURS; ++i) {
    const int32_t chance = chances[i];
    if (chance == MICRONET_NO_NEIGHBOUR) continue;
    const int32_t down = i / 3;
    const int32_t right = i % 3;
    sums_down[down] += chance;
    sums_right[right] += chance;
    total += chance;
    has_down[down] |= chance >= threshold;
    has_right[right] |= chance >= threshold;
  }
  const int32_t stride = grid->output_stride;
  micronet_object object;
  object.class_index = (uint16_t)class_index;
  object.score = (uint16_t)chances[MICRONET_NEIGHBOURS_CENTRE];
  object.x =
      view->left + centre(column, sums_right, total, stride, view->part_width, grid->input_width);
  object.y =
      view->top + centre(row, sums_down, total, stride, view->part_height, grid->input_height);
  object.width = in_pixels(extent(has_right) * CELL, stride, view->part_width, grid->input_width);
  object.height = in_pixels(extent(has_down) * CELL, stride, view->part_height, grid->input_height);
  return object;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "micronet_neighbours.h"

enum { CELL = 256 /* the side of a cell in Q8 */ };

/* Pixels of the frame that so many 256ths of a cell are, rounded. At most 2^20 of the input's
 * pixels in Q8 times 2^16 of the part; a frame of a common size is divided in 32 bits, faster. */
static int32_t in_pixels(int32_t cells, int32_t stride, int32_t part, int32_t side) {
  const uint32_t divisor = (uint32_t)(side * CELL);
  const uint64_t product = (uint64_t)(uint32_t)(cells * stride) * (uint32_t)part + divisor / 2;
  if (product <= UINT32_MAX) return (int32_t)((uint32_t)product / divisor);
  return (int32_t)(product / divisor);
}

/* One direction: rows or columns. */
typedef struct {
  int32_t sums[3];     /* of the class's probabilities before the cell, in its line, and behind */
  int32_t are_some[3]; /* whether any there has the threshold */
} lines;

/* Where the object is, from the edge of the view, and how large. place: the cell's row or column.
 * side: of the input. */
static void place_and_size(const lines *of, int32_t place, int32_t stride, int32_t part,
                           int32_t side, int32_t *centre, int32_t *size) {
  const int32_t total = of->sums[0] + of->sums[1] + of->sums[2];
  /* From the centre of the neighbour before, so that nothing is negative. At most
   * 9 * 2^15 * 2 * 2^8, 28 bits. */
  const int32_t offset = ((of->sums[1] + 2 * of->sums[2]) * CELL + total / 2) / total;
  const int32_t lengths[2] = {place * CELL - CELL / 2 + offset,
                              (1 + of->are_some[0] + of->are_some[2]) * CELL};
  int32_t pixels[2];
  for (int32_t i = 0; i < 2; ++i) pixels[i] = in_pixels(lengths[i], stride, part, side);
  *centre = pixels[0] < part ? pixels[0] : part;
  *size = pixels[1];
}

MICRONET_SHARED micronet_object micronet_merge_neighbours(const micronet_grid *grid,
                                                          const micronet_view *view, int32_t row,
                                                          int32_t column, int32_t class_index,
                                                          const int32_t *chances,
                                                          int32_t threshold) {
  lines rows = {{0, 0, 0}, {0, 0, 0}};
  lines columns = {{0, 0, 0}, {0, 0, 0}};
  const int32_t *next = chances;
  for (int32_t down = 0; down < 3; ++down) {
    for (int32_t right = 0; right < 3; ++right) {
      const int32_t chance = *next++;
      if (chance == MICRONET_NO_NEIGHBOUR) continue;
      rows.sums[down] += chance;
      columns.sums[right] += chance;
      rows.are_some[down] |= chance >= threshold;
      columns.are_some[right] |= chance >= threshold;
    }
  }
  const int32_t stride = grid->output_stride;
  micronet_object object;
  object.class_index = (uint16_t)class_index;
  object.score = (uint16_t)chances[MICRONET_NEIGHBOURS_CENTRE];
  place_and_size(&columns, column, stride, view->part_width, grid->input_width, &object.x,
                 &object.width);
  place_and_size(&rows, row, stride, view->part_height, grid->input_height, &object.y,
                 &object.height);
  object.x += view->left;
  object.y += view->top;
  return object;
}

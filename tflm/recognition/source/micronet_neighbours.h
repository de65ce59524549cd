/* SPDX-License-Identifier: Apache-2.0 */
/* What functions that find objects share; not for others to include. */
#ifndef MICRONET_NEIGHBOURS_H
#define MICRONET_NEIGHBOURS_H

#include "micronet_objects.h"

enum {
  MICRONET_NEIGHBOURS = 9,        /* of a cell and itself: three rows of three */
  MICRONET_NEIGHBOURS_CENTRE = 4, /* the cell itself */
  MICRONET_NO_NEIGHBOUR = -1      /* in the place of a probability: beyond the grid */
};

#ifdef __cplusplus
extern "C" {
#endif

/* The object that a cell shows.
 *
 * row, column: of the cell.
 * class_index: of the object.
 * chances: int32 (MICRONET_NEIGHBOURS): the class's probabilities in Q15, or
 *     MICRONET_NO_NEIGHBOUR. That of the cell itself is at least the threshold.
 * threshold: in Q15, at least 1. */
micronet_object micronet_merge_neighbours(const micronet_grid *grid, const micronet_view *view,
                                          int32_t row, int32_t column, int32_t class_index,
                                          const int32_t *chances, int32_t threshold);

#ifdef __cplusplus
}
#endif

#endif

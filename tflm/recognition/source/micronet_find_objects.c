/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "micronet_neighbours.h"
#include "micronet_softmax.h"

enum { KEPT_ROWS = 3, NOT_KNOWN = 0 };

/* What all steps need. */
typedef struct {
  const int8_t *scores;
  const micronet_grid *grid;
  const uint32_t *exponentials;
  uint32_t *reciprocals; /* [KEPT_ROWS][columns]: of cells' sums of exponentials, or NOT_KNOWN */
} grid_scores;

static const int8_t *cell_at(const grid_scores *of, int32_t row, int32_t column) {
  return of->scores + (row * of->grid->columns + column) * of->grid->answers;
}

/* The probability of a cell's answer. A cell's reciprocal is computed once, when it is first asked
 * for: of most cells, which are background and have no object near, never. */
static int32_t chance_of(const grid_scores *of, int32_t row, int32_t column, int32_t answer) {
  const int8_t *cell = cell_at(of, row, column);
  const int32_t answers = of->grid->answers;
  const int32_t best = micronet_argmax(cell, answers);
  uint32_t *reciprocal = of->reciprocals + row % KEPT_ROWS * of->grid->columns + column;
  if (*reciprocal == NOT_KNOWN) {
    *reciprocal = micronet_softmax_reciprocal(cell, answers, of->exponentials, best);
  }
  return micronet_softmax_share(of->exponentials[cell[best] - cell[answer]], *reciprocal);
}

/* Row `row` comes in the place of the one three rows before. */
static void forget_row(const grid_scores *of, int32_t row) {
  uint32_t *reciprocals = of->reciprocals + row % KEPT_ROWS * of->grid->columns;
  for (int32_t i = 0; i < of->grid->columns; ++i) reciprocals[i] = NOT_KNOWN;
}

/* Exponentials below this one belong to probabilities below all thresholds: a probability p is
 * (exponential * reciprocal + 2^39) >> 40 with a reciprocal of at most 2^31, so that p is at least
 * a threshold only if exponential * 2^31 is at least (2 * threshold - 1) * 2^39. */
static uint32_t least_exponential(const uint16_t *thresholds, int32_t classes) {
  uint32_t lowest = thresholds[0];
  for (int32_t i = 1; i < classes; ++i) {
    if (thresholds[i] < lowest) lowest = thresholds[i];
  }
  return (2 * lowest - 1) << 8;
}

/* Fills in the probabilities of an answer in a cell and its neighbours.
 * Returns whether the cell shows an object, if it has the threshold. */
static int is_highest(const grid_scores *of, int32_t row, int32_t column, int32_t answer,
                      int32_t *chances) {
  const int32_t chance = chance_of(of, row, column, answer);
  for (int32_t i = 0; i < MICRONET_NEIGHBOURS; ++i) {
    const int32_t y = row - 1 + i / 3;
    const int32_t x = column - 1 + i % 3;
    const int is_inside = y >= 0 && y < of->grid->rows && x >= 0 && x < of->grid->columns;
    chances[i] = is_inside ? chance_of(of, y, x, answer) : MICRONET_NO_NEIGHBOUR;
    if (chances[i] > chance) return 0;
    if (chances[i] == chance && i < MICRONET_NEIGHBOURS_CENTRE) return 0;
  }
  return 1;
}

/* Puts an object among `found` that are sorted, the last of which may be lost.
 * Returns how many there are then. */
static int32_t insert(const micronet_object *object, micronet_object *objects, int32_t found,
                      int32_t most_objects) {
  int32_t place = found;
  while (place > 0 && object->score > objects[place - 1].score) --place;
  if (place >= most_objects) return found;
  if (found < most_objects) ++found;
  for (int32_t later = found - 1; later > place; --later) objects[later] = objects[later - 1];
  objects[place] = *object;
  return found;
}

MICRONET_SHARED int32_t micronet_find_objects(const int8_t *scores, const micronet_grid *grid,
                                              const uint32_t *exponentials,
                                              const uint16_t *thresholds, const micronet_view *view,
                                              void *memory, micronet_object *objects,
                                              int32_t most_objects) {
  const grid_scores of = {scores, grid, exponentials, memory};
  const int32_t classes = grid->answers - 1;
  const uint32_t least = least_exponential(thresholds, classes);
  int32_t found = 0;
  forget_row(&of, 0);
  for (int32_t row = 0; row < grid->rows; ++row) {
    forget_row(&of, row + 1);
    for (int32_t column = 0; column < grid->columns; ++column) {
      const int8_t *cell = cell_at(&of, row, column);
      int32_t answer = 1 + micronet_argmax(cell + 1, classes);
      if (cell[0] > cell[answer] && exponentials[cell[0] - cell[answer]] < least) continue;
      const int32_t chance = chance_of(&of, row, column, answer);
      /* A lower score may have the same probability: of equal classes the first counts. */
      for (int32_t i = answer - 1; i > 0; --i) {
        if (chance_of(&of, row, column, i) == chance) answer = i;
      }
      const int32_t threshold = thresholds[answer - 1];
      int32_t chances[MICRONET_NEIGHBOURS];
      if (chance < threshold || !is_highest(&of, row, column, answer, chances)) continue;
      const micronet_object object =
          micronet_merge_neighbours(grid, view, row, column, answer - 1, chances, threshold);
      found = insert(&object, objects, found, most_objects);
    }
  }
  return found;
}

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

/* Row `row` comes in the place of the one three rows before. */
static void forget_row(const grid_scores *of, int32_t row) {
  uint32_t *reciprocals = of->reciprocals + row % KEPT_ROWS * of->grid->columns;
  for (int32_t i = 0; i < of->grid->columns; ++i) reciprocals[i] = NOT_KNOWN;
}

/* How far below the background's score a class has no chance to have its threshold.
 *
 * A probability p is (exponential * reciprocal + 2^39) >> 40 with a reciprocal of at most 2^31, so
 * that p is at least a threshold only if exponential * 2^31 is at least (2 * threshold - 1) * 2^39.
 * The distance is the first whose exponential is less than that of the lowest threshold. */
static int32_t hopeless_distance(const uint32_t *exponentials, const uint16_t *thresholds,
                                 int32_t classes) {
  uint32_t lowest = thresholds[0];
  for (int32_t i = 1; i < classes; ++i) {
    if (thresholds[i] < lowest) lowest = thresholds[i];
  }
  const uint32_t least = (2 * lowest - 1) << 8;
  int32_t distance = 0;
  while (distance < MICRONET_EXPONENTIALS && exponentials[distance] >= least) ++distance;
  return distance;
}

/* Whether all classes of a cell are so far below its background. */
static int is_background(const int8_t *cell, int32_t answers, int32_t distance) {
  const int32_t limit = cell[0] - distance;
  for (int32_t i = 1; i < answers; ++i) {
    if (cell[i] > limit) return 0;
  }
  return 1;
}

/* What the probabilities of a cell's answers are computed of. */
typedef struct {
  const int8_t *scores;
  int32_t highest;
  uint32_t reciprocal;
} softmax;

/* A cell's reciprocal is computed once, when it is first asked for: of background without an object
 * near, never. */
static softmax softmax_of(const grid_scores *of, int32_t row, int32_t column) {
  const int32_t columns = of->grid->columns;
  const int32_t answers = of->grid->answers;
  const int8_t *cell = of->scores + (row * columns + column) * answers;
  uint32_t *reciprocal = of->reciprocals + row % KEPT_ROWS * columns + column;
  int32_t best = 0;
  for (int32_t i = 1; i < answers; ++i) {
    if (cell[i] > cell[best]) best = i;
  }
  if (*reciprocal == NOT_KNOWN) {
    *reciprocal = micronet_softmax_reciprocal(cell, answers, of->exponentials, best);
  }
  const softmax result = {cell, cell[best], *reciprocal};
  return result;
}

static inline int32_t chance_of(const grid_scores *of, softmax cell, int32_t answer) {
  return micronet_softmax_share(of->exponentials[cell.highest - cell.scores[answer]],
                                cell.reciprocal);
}

/* The most probable answer but for the background, the first of several. The highest score does not
 * tell: a lower one may have the same probability. */
static int32_t likeliest_answer(const grid_scores *of, softmax cell) {
  int32_t likeliest = 0;
  int32_t highest = MICRONET_NO_NEIGHBOUR;
  for (int32_t i = 1; i < of->grid->answers; ++i) {
    const int32_t chance = chance_of(of, cell, i);
    if (chance > highest) {
      highest = chance;
      likeliest = i;
    }
  }
  return likeliest;
}

/* Fills in the probabilities of an answer in a cell and its neighbours, as far as they do not
 * outdo the cell, whose probability is `chance`. Returns whether none does. */
static int is_highest(const grid_scores *of, int32_t row, int32_t column, int32_t answer,
                      int32_t chance, int32_t *chances) {
  int32_t i = 0;
  for (int32_t y = row - 1; y <= row + 1; ++y) {
    for (int32_t x = column - 1; x <= column + 1; ++x, ++i) {
      const int is_inside = y >= 0 && y < of->grid->rows && x >= 0 && x < of->grid->columns;
      chances[i] = MICRONET_NO_NEIGHBOUR;
      if (is_inside) chances[i] = chance_of(of, softmax_of(of, y, x), answer);
      if (chances[i] > chance) return 0;
      if (chances[i] == chance && i < MICRONET_NEIGHBOURS_CENTRE) return 0;
    }
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
  const int32_t answers = grid->answers;
  const int32_t hopeless = hopeless_distance(exponentials, thresholds, answers - 1);
  int32_t found = 0;
  forget_row(&of, 0);
  for (int32_t row = 0; row < grid->rows; ++row) {
    forget_row(&of, row + 1);
    for (int32_t column = 0; column < grid->columns; ++column, scores += answers) {
      if (is_background(scores, answers, hopeless)) continue;
      const softmax cell = softmax_of(&of, row, column);
      const int32_t answer = likeliest_answer(&of, cell);
      const int32_t chance = chance_of(&of, cell, answer);
      const int32_t threshold = thresholds[answer - 1];
      int32_t chances[MICRONET_NEIGHBOURS];
      if (chance < threshold) continue;
      if (!is_highest(&of, row, column, answer, chance, chances)) continue;
      const micronet_object object =
          micronet_merge_neighbours(grid, view, row, column, answer - 1, chances, threshold);
      found = insert(&object, objects, found, most_objects);
    }
  }
  return found;
}

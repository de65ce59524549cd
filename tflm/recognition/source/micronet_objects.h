/* SPDX-License-Identifier: Apache-2.0 */
/* From the scores of a grid's cells to objects, joints and areas, in pixels of the camera.
 *
 * A grid model puts out int8 scores (rows, columns, answers), before any softmax or sigmoid: of
 * each cell one for background and one a class, or one a joint. Probabilities are in Q15, as in
 * micronet_scores.h. All of it is integers: no heap, no variables, no floating point, and the same
 * bytes on every processor, which are those of tflm/recognition/objects.py.
 *
 *   static uint32_t memory[MICRONET_FIND_OBJECTS_BYTES(PERSON_MODEL_GRID_COLUMNS) / 4];
 *   static micronet_object objects[PERSON_MODEL_MOST_OBJECTS];
 *   const micronet_view view = {resizer.left, resizer.top, resizer.part_width,
 *                               resizer.part_height};
 *   const int32_t count = micronet_find_objects(
 *       scores, &person_model_grid, person_model_exponentials, person_model_thresholds, &view,
 *       memory, objects, PERSON_MODEL_MOST_OBJECTS);
 */
#ifndef MICRONET_OBJECTS_H
#define MICRONET_OBJECTS_H

#include <stdint.h>

#include "micronet_scores.h"

/* What the cells of a model are. Generated with the model. */
typedef struct {
  int32_t rows;          /* 1 to 4096 */
  int32_t columns;       /* 1 to 4096 */
  int32_t answers;       /* of a cell: background and classes, 2 to 256; or joints, 1 to 256 */
  int32_t output_stride; /* side of a cell in pixels of the input, 1 to 32 */
  int32_t input_width;   /* in pixels, 1 to 4096: more than output_stride * (columns - 1) */
  int32_t input_height;  /* the same of the rows */
} micronet_grid;

/* The part of the camera's frame that became the model's input, in pixels of the frame, as
 * micronet_image_resizer has it: each 0 to 65536, its sides at least 1. To have places in pixels of
 * the input: {0, 0, input_width, input_height}. */
typedef struct {
  int32_t left;
  int32_t top;
  int32_t part_width;
  int32_t part_height;
} micronet_view;

/* What was found. Places are from the frame's left and upper edge, in its pixels, rounded. */
typedef struct {
  uint16_t class_index; /* from 0 on; background has no number. Of a keypoint: the joint */
  uint16_t score;       /* its probability in Q15 */
  int32_t x;            /* of its centre, within the view */
  int32_t y;
  int32_t width; /* of the cells that were merged to it, not of the object */
  int32_t height;
} micronet_object;

/* Bytes of memory for micronet_find_objects: what softmax needs of each cell of three rows. */
#define MICRONET_FIND_OBJECTS_BYTES(columns) (3 * 4 * (columns))

#ifdef __cplusplus
extern "C" {
#endif

/* The objects that a grid of classes shows, the most probable first, equal ones in the order of
 * rows, then columns.
 *
 * A cell shows an object if its most probable class, the background aside, has at least that
 * class's threshold there, more than in the neighbours above and at the left in its row, and at
 * least as much as in the others. The object's place is the mean of the places of the cell and its
 * neighbours, weighted with the class's probability.
 *
 * scores: int8 (rows, columns, answers), any alignment; index 0 of a cell is the background.
 * grid: of the model.
 * exponentials: uint32 (MICRONET_EXPONENTIALS) of the model, as for micronet_probabilities.
 * thresholds: uint16 (answers - 1) in Q15, 1 to MICRONET_PROBABILITY_ONE, one a class.
 * view: where the input is in the camera's frame.
 * memory: at least MICRONET_FIND_OBJECTS_BYTES(columns), at a multiple of 4 bytes; needs no values,
 *     and is free for others afterwards.
 * objects: (most_objects); as many as are returned are written.
 * most_objects: how many are wanted, at least 0; the least probable of more are left out.
 * Returns how many were found, at most most_objects. */
int32_t micronet_find_objects(const int8_t *scores, const micronet_grid *grid,
                              const uint32_t *exponentials, const uint16_t *thresholds,
                              const micronet_view *view, void *memory, micronet_object *objects,
                              int32_t most_objects);

/* The joints that heatmaps show, each at most once, in the order of the joints.
 *
 * A joint is in the cell where it is most probable, the first of several, if it has the joint's
 * threshold there; place and size as of objects.
 *
 * scores: int8 (rows, columns, answers), any alignment.
 * grid, view: as for micronet_find_objects.
 * sigmoids: uint16 (MICRONET_SIGMOIDS) of the model: entry i is the probability in Q15, rounded, of
 *     the score i - 128. Generated with the model.
 * thresholds: uint16 (answers) in Q15, 1 to MICRONET_PROBABILITY_ONE, one a joint.
 * joints: (answers); as many as are returned are written.
 * Returns how many were found, at most grid->answers. */
int32_t micronet_find_keypoints(const int8_t *scores, const micronet_grid *grid,
                                const uint16_t *sigmoids, const uint16_t *thresholds,
                                const micronet_view *view, micronet_object *joints);

/* Entries of a table of sigmoids: one for each int8 value. */
#define MICRONET_SIGMOIDS 256

/* The class of each cell, and how many cells each has, which tells areas.
 *
 * scores: int8 (rows, columns, answers), any alignment; answers up to 256.
 * grid: of the model.
 * classes: uint8 (rows, columns): the answer with the highest score, the first of several; 0 for
 *     background, then the classes from 1 on.
 * counts: int32 (answers): how many cells have the answer. Their sum is rows * columns. */
void micronet_class_map(const int8_t *scores, const micronet_grid *grid, uint8_t *classes,
                        int32_t *counts);

#ifdef __cplusplus
}
#endif

#endif

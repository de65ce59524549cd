/* SPDX-License-Identifier: Apache-2.0 */
/* From a model's scores to an answer: the best classes, their probabilities, "none of these".
 *
 * Scores are the int8 values that a model puts out, one a class, before any softmax. Probabilities
 * are in Q15: 32768 is 1, 16384 is one half. All of it is integers: no heap, no variables, no
 * floating point, and the same bytes on every processor.
 *
 * A probability is within 0.5 + count / 1024 of 32768 times the exact softmax of the scores' real
 * values; all of them together are within count / 2 + 1 of 32768. Equal scores have equal
 * probabilities, and a higher score never has a lower one. */
#ifndef MICRONET_SCORES_H
#define MICRONET_SCORES_H

#include <stddef.h>
#include <stdint.h>

#include "micronet_shared.h"

/* The probability 1. */
#define MICRONET_PROBABILITY_ONE 32768u
/* Entries of a table of exponentials: one for each difference of two int8 values. */
#define MICRONET_EXPONENTIALS 256
/* The class of what is none of the model's. */
#define MICRONET_NONE_OF_THESE (-1)

#ifdef __cplusplus
extern "C" {
#endif

/* The class with the highest score; of several, the first.
 *
 * scores: int8 (count), any alignment.
 * count: number of classes, at least 1.
 * Returns an index in [0, count). */
int32_t micronet_argmax(const int8_t *scores, int32_t count);

/* The classes with the highest scores, best first; of equal ones, the first comes first.
 *
 * scores: int8 (count), any alignment.
 * count: number of classes, at least 1.
 * k: how many are wanted.
 * indices: int32 (k); as many as are returned are written.
 * Returns how many there are: k, but at most count and at least 0. */
int32_t micronet_top_k(const int8_t *scores, int32_t count, int32_t k, int32_t *indices);

/* The probability of each class: the softmax of the scores' real values.
 *
 * scores: int8 (count), any alignment.
 * count: number of classes, 1 to 65536.
 * exponentials: uint32 (MICRONET_EXPONENTIALS) of the model: entry d is exp(-d * scale) in Q24,
 *     rounded, where scale is that of the model's output. Generated with the model.
 * probabilities: uint16 (count) in Q15, each at most MICRONET_PROBABILITY_ONE. */
void micronet_probabilities(const int8_t *scores, int32_t count, const uint32_t *exponentials,
                            uint16_t *probabilities);

/* The answer to one image: the class with the highest score if it is probable enough.
 *
 * scores, count, exponentials: as for micronet_probabilities.
 * threshold: in Q15, 0 to MICRONET_PROBABILITY_ONE. Generated with the model, from validation
 *     images; with 0 the answer is always a class.
 * probability: that of the best class in Q15, whatever the answer; may be NULL.
 * Returns the class that micronet_argmax returns if its probability is at least the threshold, else
 * MICRONET_NONE_OF_THESE. */
int32_t micronet_recognize(const int8_t *scores, int32_t count, const uint32_t *exponentials,
                           uint16_t threshold, uint16_t *probability);

#ifdef __cplusplus
}
#endif

#endif

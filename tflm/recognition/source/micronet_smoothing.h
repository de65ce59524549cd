/* SPDX-License-Identifier: Apache-2.0 */
/* One steady answer from the scores of frame after frame, as of a camera.
 *
 * Each class has a moving average of its probabilities. A class becomes the answer when its average
 * reaches `threshold`, and stays it until its average is below `release`, or until another class
 * has reached the threshold and is ahead by threshold - release. An answer stays for `hold` frames
 * at least, "none of these" excepted, which it may leave at once. All averages begin at 0, so that
 * the first answer takes as many frames as any other.
 *
 *   static uint32_t averages[CLASSES];
 *   static micronet_smoothing smoothing;
 *   micronet_smoothing_begin(&smoothing, &settings, averages);
 *   for each frame:
 *     micronet_probabilities(scores, CLASSES, exponentials, probabilities);
 *     if (micronet_smoothing_update(&smoothing, probabilities)) act_on(smoothing.answer);
 */
#ifndef MICRONET_SMOOTHING_H
#define MICRONET_SMOOTHING_H

#include <stdint.h>

#include "micronet_scores.h"

/* How to smooth. */
typedef struct {
  int32_t count;      /* number of classes, 1 to 65536 */
  uint16_t weight;    /* of the newest frame in Q15, 1 to 32768; 32768: no smoothing. About as
                       * smooth as the mean of n frames: 65536 / (n + 1) */
  uint16_t threshold; /* average in Q15 at which a class becomes the answer, 1 to 32768 */
  uint16_t release;   /* average in Q15 below which it no longer is, 0 to threshold */
  uint16_t hold;      /* frames that a class stays the answer at least */
} micronet_smoothing_settings;

/* What is known after a frame. Read the answer; all else is of the functions below. */
typedef struct {
  const micronet_smoothing_settings *settings;
  uint32_t *averages;   /* of each class in Q31 */
  int32_t answer;       /* index of a class, or MICRONET_NONE_OF_THESE */
  uint16_t probability; /* average in Q15 of the answer; without one, of the likeliest class */
  uint16_t held;        /* frames since the answer has changed, no further than settings->hold */
} micronet_smoothing;

#ifdef __cplusplus
extern "C" {
#endif

/* Forgets all frames: the answer is MICRONET_NONE_OF_THESE.
 *
 * settings: within the ranges above; not to be moved while the state is used. They may be changed
 *     between frames, but for the count.
 * averages: uint32 (settings->count) for the state, to be kept with it. */
void micronet_smoothing_begin(micronet_smoothing *smoothing,
                              const micronet_smoothing_settings *settings, uint32_t *averages);

/* Takes the next frame.
 *
 * probabilities: uint16 (settings->count) in Q15, as micronet_probabilities writes them.
 * Returns 1 if the answer is another one than before, else 0. */
int32_t micronet_smoothing_update(micronet_smoothing *smoothing, const uint16_t *probabilities);

#ifdef __cplusplus
}
#endif

#endif

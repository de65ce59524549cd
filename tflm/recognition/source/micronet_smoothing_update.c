/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "micronet_smoothing.h"

/* Averages are in Q31, 16 bits finer than probabilities: in Q15, small changes would be rounded
 * away for ever. */
enum { FINER_BITS = 16 };

static uint32_t average_with(uint32_t average, uint16_t probability, uint16_t weight) {
  const uint64_t before = (uint64_t)average * (MICRONET_PROBABILITY_ONE - weight);
  const uint64_t newest = ((uint64_t)probability << FINER_BITS) * weight;
  return (uint32_t)((before + newest + MICRONET_PROBABILITY_ONE / 2) / MICRONET_PROBABILITY_ONE);
}

static uint32_t in_q31(uint32_t probability) { return probability << FINER_BITS; }

/* Whether an average, rounded to Q15, is at least a limit. An average comes as near as this to a
 * probability that stays, but need not reach it. */
static int is_at_least(uint32_t average, uint32_t limit) {
  return average + ((uint32_t)1 << (FINER_BITS - 1)) >= in_q31(limit);
}

/* The answer that `candidate`, the likeliest class, leaves or takes. */
static int32_t next_answer(const micronet_smoothing *smoothing, int32_t candidate) {
  const micronet_smoothing_settings *settings = smoothing->settings;
  const uint32_t *averages = smoothing->averages;
  const int32_t answer = smoothing->answer;
  const int is_reached = is_at_least(averages[candidate], settings->threshold);
  if (answer != MICRONET_NONE_OF_THESE) {
    const uint32_t margin = in_q31((uint32_t)settings->threshold - settings->release);
    const int is_passed =
        is_reached && candidate != answer && averages[candidate] - averages[answer] >= margin;
    if (smoothing->held < settings->hold) return answer;
    if (is_at_least(averages[answer], settings->release) && !is_passed) return answer;
  }
  return is_reached ? candidate : MICRONET_NONE_OF_THESE;
}

MICRONET_SHARED int32_t micronet_smoothing_update(micronet_smoothing *smoothing,
                                                  const uint16_t *probabilities) {
  const micronet_smoothing_settings *settings = smoothing->settings;
  uint32_t *averages = smoothing->averages;
  int32_t candidate = 0;
  for (int32_t i = 0; i < settings->count; ++i) {
    averages[i] = average_with(averages[i], probabilities[i], settings->weight);
    if (averages[i] > averages[candidate]) candidate = i;
  }
  if (smoothing->held < settings->hold) ++smoothing->held;
  const int32_t before = smoothing->answer;
  smoothing->answer = next_answer(smoothing, candidate);
  const int32_t is_new = smoothing->answer != before;
  if (is_new) smoothing->held = 0;
  const int32_t shown = smoothing->answer == MICRONET_NONE_OF_THESE ? candidate : smoothing->answer;
  const uint32_t half = (uint32_t)1 << (FINER_BITS - 1);
  smoothing->probability = (uint16_t)((averages[shown] + half) >> FINER_BITS);
  return is_new;
}

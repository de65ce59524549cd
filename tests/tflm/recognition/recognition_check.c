/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the functions of recognition on data from the host; see test_c_functions.py.
 *
 * Each array ends where its memory does, so that a sanitizer sees what is read behind it. */
#include <stddef.h>

#include "host.h"
#include "micronet_scores.h"
#include "micronet_smoothing.h"

enum { MOST_CLASSES = 1000, END = 0, SCORES = 1, SMOOTHING = 2 };

static int8_t score_memory[MOST_CLASSES];
static uint32_t exponentials[MICRONET_EXPONENTIALS];
static uint16_t probability_memory[MOST_CLASSES];
static int32_t index_memory[MOST_CLASSES];
static uint32_t average_memory[MOST_CLASSES];

static int32_t read_number(void) {
  int32_t number;
  host_read(&number, sizeof(number));
  return number;
}

static void write_number(int32_t number) { host_write(&number, sizeof(number)); }

static void check_scores(void) {
  const int32_t count = read_number();
  const int32_t k = read_number();
  const uint16_t threshold = (uint16_t)read_number();
  int8_t *scores = score_memory + MOST_CLASSES - count;
  uint16_t *probabilities = probability_memory + MOST_CLASSES - count;
  int32_t *indices = index_memory + MOST_CLASSES - (k < 0 ? 0 : k > count ? count : k);
  host_read(scores, (size_t)count);
  host_read(exponentials, sizeof(exponentials));
  uint16_t probability = 0;
  write_number(micronet_argmax(scores, count));
  const int32_t found = micronet_top_k(scores, count, k, indices);
  write_number(found);
  host_write(indices, (size_t)found * sizeof(*indices));
  micronet_probabilities(scores, count, exponentials, probabilities);
  host_write(probabilities, (size_t)count * sizeof(*probabilities));
  write_number(micronet_recognize(scores, count, exponentials, threshold, &probability));
  write_number(probability);
  if (micronet_recognize(scores, count, exponentials, 0, NULL) != micronet_argmax(scores, count)) {
    host_exit(1);
  }
}

static void check_smoothing(void) {
  micronet_smoothing_settings settings;
  micronet_smoothing smoothing;
  settings.count = read_number();
  settings.weight = (uint16_t)read_number();
  settings.threshold = (uint16_t)read_number();
  settings.release = (uint16_t)read_number();
  settings.hold = (uint16_t)read_number();
  uint16_t *probabilities = probability_memory + MOST_CLASSES - settings.count;
  micronet_smoothing_begin(&smoothing, &settings, average_memory + MOST_CLASSES - settings.count);
  for (int32_t frames = read_number(); frames > 0; --frames) {
    host_read(probabilities, (size_t)settings.count * sizeof(*probabilities));
    write_number(micronet_smoothing_update(&smoothing, probabilities));
    write_number(smoothing.answer);
    write_number(smoothing.probability);
  }
}

int main(void) {
  for (;;) {
    switch (read_number()) {
      case SCORES:
        check_scores();
        break;
      case SMOOTHING:
        check_smoothing();
        break;
      case END:
        return 0;
      default:
        host_exit(1);
    }
  }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* processor.h of a processor with DSP instructions, in plain C: so that a sanitizer of the host
 * sees which memory the *_dsp.c kernels use. To be included before all else (gcc -include).
 *
 * A function that processor.h gets for MICRONET_DSP is needed here, too. */
#ifndef MICRONET_PROCESSOR_H
#define MICRONET_PROCESSOR_H

#include <stdint.h>
#include <string.h>

#define MICRONET_DSP 1

/* What a 32-bit register keeps of a number. */
static inline int32_t in_register(int64_t value) { return (int32_t)(uint32_t)value; }

static inline int32_t low_half(uint32_t word) { return (int16_t)word; }

static inline int32_t high_half(uint32_t word) { return (int16_t)(word >> 16); }

static inline uint32_t join_halves(int32_t low, int32_t high) {
  return ((uint32_t)low & 0xFFFFu) | (uint32_t)high << 16;
}

/* Byte 0 to 3, sign-extended. */
static inline int32_t byte_of(uint32_t word, int index) { return (int8_t)(word >> 8 * index); }

static inline int32_t saturate(int64_t value, int32_t lowest, int32_t highest) {
  return value < lowest ? lowest : value > highest ? highest : (int32_t)value;
}

static inline int32_t micronet_scale(int32_t accumulator, int32_t multiplier, int32_t offset) {
  const int64_t product = (int64_t)accumulator * multiplier + ((int64_t)1 << 31);
  return in_register((product >> 32) + offset);
}

static inline int32_t micronet_clamp(int32_t value, int32_t lowest, int32_t highest) {
  return saturate(value, lowest, highest);
}

static inline uint32_t micronet_load_4(const int8_t *source) {
  uint32_t word;
  memcpy(&word, source, 4);
  return word;
}

static inline uint32_t micronet_load_2(const int8_t *source) {
  uint16_t half;
  memcpy(&half, source, 2);
  return half;
}

static inline const uint32_t *micronet_load_2_words(const uint32_t *source, uint32_t *first,
                                                    uint32_t *second) {
  *first = source[0];
  *second = source[1];
  return source + 2;
}

static inline uint32_t *micronet_store_2_words(uint32_t *destination, uint32_t first,
                                               uint32_t second) {
  destination[0] = first;
  destination[1] = second;
  return destination + 2;
}

static inline uint32_t *micronet_store_2_of_8_words(uint32_t *destination, uint32_t first,
                                                    uint32_t second) {
  destination[0] = first;
  destination[1] = second;
  return destination + 8;
}

static inline void micronet_load_2_and_4_words(const uint32_t **two, const uint32_t **four,
                                               uint32_t *words) {
  memcpy(words, *two, 8);
  memcpy(words + 2, *four, 16);
  *two += 2;
  *four += 4;
}

static inline void micronet_load_partners(const uint32_t *inputs, const uint32_t *weights,
                                          uint32_t *words) {
  for (int i = 0; i < 2; ++i) words[i] = inputs[4 * i];
  for (int i = 0; i < 4; ++i) words[2 + i] = weights[4 * i];
}

static inline void micronet_load_next_partners(const uint32_t **inputs, const uint32_t **weights,
                                               uint32_t *words) {
  micronet_load_partners(*inputs, *weights, words);
  *inputs += 8;
  *weights += 16;
}

static inline void micronet_load_8_twice(const int8_t **first, const int8_t **second, int32_t step,
                                         uint32_t *words) {
  memcpy(words, *first, 8);
  memcpy(words + 2, *second, 8);
  *first += step;
  *second += step;
}

static inline uint32_t micronet_sxtb16(uint32_t word) {
  return join_halves(byte_of(word, 0), byte_of(word, 2));
}

static inline uint32_t micronet_sxtb16_ror8(uint32_t word) {
  return join_halves(byte_of(word, 1), byte_of(word, 3));
}

static inline uint32_t micronet_sxtab16(uint32_t sum, uint32_t word) {
  return join_halves(low_half(sum) + byte_of(word, 0), high_half(sum) + byte_of(word, 2));
}

static inline uint32_t micronet_sxtab16_ror8(uint32_t sum, uint32_t word) {
  return join_halves(low_half(sum) + byte_of(word, 1), high_half(sum) + byte_of(word, 3));
}

static inline int32_t micronet_smlad(uint32_t a, uint32_t b, int32_t sum) {
  return in_register((int64_t)low_half(a) * low_half(b) + (int64_t)high_half(a) * high_half(b) +
                     sum);
}

static inline int32_t micronet_smuad(uint32_t a, uint32_t b) { return micronet_smlad(a, b, 0); }

static inline int32_t micronet_smlabb(uint32_t a, uint32_t b, int32_t sum) {
  return in_register((int64_t)low_half(a) * low_half(b) + sum);
}

static inline int32_t micronet_smlabt(uint32_t a, uint32_t b, int32_t sum) {
  return in_register((int64_t)low_half(a) * high_half(b) + sum);
}

static inline int32_t micronet_smlatb(uint32_t a, uint32_t b, int32_t sum) {
  return in_register((int64_t)high_half(a) * low_half(b) + sum);
}

static inline int32_t micronet_smlatt(uint32_t a, uint32_t b, int32_t sum) {
  return in_register((int64_t)high_half(a) * high_half(b) + sum);
}

static inline uint32_t micronet_pack_low(uint32_t low, uint32_t high) {
  return join_halves(low_half(low), low_half(high));
}

static inline uint32_t micronet_pack_high(uint32_t low, uint32_t high) {
  return join_halves(high_half(low), high_half(high));
}

static inline int32_t micronet_saturate_int8(int32_t value) { return saturate(value, -128, 127); }

static inline void micronet_forget_memory(void) {}

static inline int32_t micronet_saturate_int16(int32_t value) {
  return saturate(value, INT16_MIN, INT16_MAX);
}

static inline int32_t micronet_saturate_int8_asr12(int32_t value) {
  return saturate(value >> 12, -128, 127);
}

static inline int32_t micronet_saturate_positive(int32_t value) {
  return saturate(value, 0, INT32_MAX);
}

static inline uint32_t micronet_ssub16(uint32_t a, uint32_t b) {
  return join_halves(low_half(a) - low_half(b), high_half(a) - high_half(b));
}

static inline uint32_t micronet_qsub16(uint32_t a, uint32_t b) {
  return join_halves(saturate(low_half(a) - low_half(b), INT16_MIN, INT16_MAX),
                     saturate(high_half(a) - high_half(b), INT16_MIN, INT16_MAX));
}

static inline int32_t micronet_subtract(int32_t a, int32_t b) { return a - b; }

static inline uint32_t join_bytes(int32_t byte_0, int32_t byte_1, int32_t byte_2, int32_t byte_3) {
  return ((uint32_t)byte_0 & 0xFFu) | ((uint32_t)byte_1 & 0xFFu) << 8 |
         ((uint32_t)byte_2 & 0xFFu) << 16 | (uint32_t)byte_3 << 24;
}

static inline int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

static inline int32_t smaller(int32_t a, int32_t b) { return a < b ? a : b; }

static inline uint32_t micronet_maximum_4(uint32_t a, uint32_t b) {
  return join_bytes(larger(byte_of(a, 0), byte_of(b, 0)), larger(byte_of(a, 1), byte_of(b, 1)),
                    larger(byte_of(a, 2), byte_of(b, 2)), larger(byte_of(a, 3), byte_of(b, 3)));
}

static inline uint32_t micronet_minimum_4(uint32_t a, uint32_t b) {
  return join_bytes(smaller(byte_of(a, 0), byte_of(b, 0)), smaller(byte_of(a, 1), byte_of(b, 1)),
                    smaller(byte_of(a, 2), byte_of(b, 2)), smaller(byte_of(a, 3), byte_of(b, 3)));
}

static inline uint32_t micronet_maximum_2(uint32_t a, uint32_t b) {
  return join_halves(larger(low_half(a), low_half(b)), larger(high_half(a), high_half(b)));
}

static inline uint32_t micronet_minimum_2(uint32_t a, uint32_t b) {
  return join_halves(smaller(low_half(a), low_half(b)), smaller(high_half(a), high_half(b)));
}

static inline uintptr_t micronet_add_twice(uintptr_t base, int32_t step) {
  return base + 2 * (uintptr_t)(intptr_t)step;
}

#endif

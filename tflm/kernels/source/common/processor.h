/* SPDX-License-Identifier: Apache-2.0 */
/* The processor's instructions that the kernels use, each as one function, and which there are.
 *
 * MICRONET_DSP: the DSP extension (Cortex-M4, M7, M33, M55). MICRONET_MVE: integer Helium (M55).
 * -DMICRONET_PORTABLE builds plain C99 for any processor. The results are the same everywhere.
 * What MICRONET_DSP declares stands in fuzz/emulated_processor.h a second time, in C. */
#ifndef MICRONET_PROCESSOR_H
#define MICRONET_PROCESSOR_H

#include <stdint.h>
#include <string.h>

#if !defined(MICRONET_PORTABLE) && defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP
#define MICRONET_DSP 1
#endif
#if !defined(MICRONET_PORTABLE) && defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#define MICRONET_MVE 1
#include <arm_mve.h>
#endif

/* `accumulator * multiplier / 2^32` rounded to the nearest integer, halves up, plus `offset`.
 *
 * multiplier: not negative; the real factor times 2^32. */
static inline int32_t micronet_scale(int32_t accumulator, int32_t multiplier, int32_t offset) {
#if defined(MICRONET_DSP)
  int32_t result;
  __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(accumulator), "r"(multiplier), "r"(offset));
  return result;
#else
  const int64_t product = (int64_t)accumulator * multiplier + ((int64_t)1 << 31);
  return (int32_t)(product >> 32) + offset;
#endif
}

static inline int32_t micronet_clamp(int32_t value, int32_t lowest, int32_t highest) {
  return value < lowest ? lowest : value > highest ? highest : value;
}

#if defined(MICRONET_DSP)

/* Four int8 of any alignment. */
static inline uint32_t micronet_load_4(const int8_t *source) {
  uint32_t word;
  memcpy(&word, source, 4);
  return word;
}

/* Bytes 0 and 2, sign-extended to the halfwords. */
static inline uint32_t micronet_sxtb16(uint32_t word) {
  uint32_t result;
  __asm__("sxtb16 %0, %1" : "=r"(result) : "r"(word));
  return result;
}

/* Bytes 1 and 3, sign-extended to the halfwords. */
static inline uint32_t micronet_sxtb16_ror8(uint32_t word) {
  uint32_t result;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(word));
  return result;
}

/* Halfwords of `sum`, to which bytes 0 and 2 are added, without saturation. */
static inline uint32_t micronet_sxtab16(uint32_t sum, uint32_t word) {
  uint32_t result;
  __asm__("sxtab16 %0, %1, %2" : "=r"(result) : "r"(sum), "r"(word));
  return result;
}

/* Halfwords of `sum`, to which bytes 1 and 3 are added, without saturation. */
static inline uint32_t micronet_sxtab16_ror8(uint32_t sum, uint32_t word) {
  uint32_t result;
  __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(result) : "r"(sum), "r"(word));
  return result;
}

/* sum + the products of both halfwords. */
static inline int32_t micronet_smlad(uint32_t a, uint32_t b, int32_t sum) {
  int32_t result;
  __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}

/* Adds the products of both halfwords to a sum, in its register: where none is left. */
static inline void micronet_add_products(int32_t *sum, uint32_t a, uint32_t b) {
  __asm__("smlad %0, %1, %2, %0" : "+r"(*sum) : "r"(a), "r"(b));
}

/* The sum of the products of both halfwords. */
static inline int32_t micronet_smuad(uint32_t a, uint32_t b) {
  int32_t result;
  __asm__("smuad %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

/* sum + the product of the low halfwords. */
static inline int32_t micronet_smlabb(uint32_t a, uint32_t b, int32_t sum) {
  int32_t result;
  __asm__("smlabb %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}

/* sum + the product of a's low halfword and b's high one. */
static inline int32_t micronet_smlabt(uint32_t a, uint32_t b, int32_t sum) {
  int32_t result;
  __asm__("smlabt %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}

/* sum + the product of a's high halfword and b's low one. */
static inline int32_t micronet_smlatb(uint32_t a, uint32_t b, int32_t sum) {
  int32_t result;
  __asm__("smlatb %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}

/* sum + the product of the high halfwords. */
static inline int32_t micronet_smlatt(uint32_t a, uint32_t b, int32_t sum) {
  int32_t result;
  __asm__("smlatt %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}

/* The low halfword of `low` and, above it, that of `high`. */
static inline uint32_t micronet_pack_low(uint32_t low, uint32_t high) {
  uint32_t result;
  __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(result) : "r"(low), "r"(high));
  return result;
}

/* The high halfword of `low` and, above it, that of `high`. */
static inline uint32_t micronet_pack_high(uint32_t low, uint32_t high) {
  uint32_t result;
  __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(result) : "r"(high), "r"(low));
  return result;
}

/* Saturated to int8. */
static inline int32_t micronet_saturate_int8(int32_t value) {
  int32_t result;
  __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(value));
  return result;
}

/* The differences of both halfwords, each modulo 2^16. */
static inline uint32_t micronet_ssub16(uint32_t a, uint32_t b) {
  uint32_t result;
  __asm__("ssub16 %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

/* Halfwords of a - b, saturated. */
static inline uint32_t micronet_qsub16(uint32_t a, uint32_t b) {
  uint32_t result;
  __asm__("qsub16 %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

/* Two words; returns the address behind them.
 *
 * source: at a multiple of 4 bytes. */
static inline const uint32_t *micronet_load_2_words(const uint32_t *source, uint32_t *first,
                                                    uint32_t *second) {
  uint32_t a, b;
  __asm__("ldrd %0, %1, [%2], #8"
          : "=&r"(a), "=&r"(b), "+r"(source)
          : "m"(*(const uint32_t (*)[2])source));
  *first = a;
  *second = b;
  return source;
}

/* Two words that follow each other. Loads side by side take a cycle less each, if all of 32 bits
 * are at multiples of 4. */
static inline void micronet_load_words(const uint32_t *source, uint32_t *first, uint32_t *second) {
  uint32_t a, b;
  __asm__(".p2align 2\n\tldr.w %0, %2\n\tldr.w %1, %3"
          : "=&r"(a), "=r"(b)
          : "m"(source[0]), "m"(source[1]));
  *first = a;
  *second = b;
}

/* Three words that follow each other. */
static inline void micronet_load_3_words(const uint32_t *source, uint32_t *first, uint32_t *second,
                                         uint32_t *third) {
  uint32_t a, b, c;
  __asm__(".p2align 2\n\tldr.w %0, %3\n\tldr.w %1, %4\n\tldr.w %2, %5"
          : "=&r"(a), "=&r"(b), "=r"(c)
          : "m"(source[0]), "m"(source[1]), "m"(source[2]));
  *first = a;
  *second = b;
  *third = c;
}

/* Three words that follow each other; and, of any alignment, four int8 and the four that begin
 * with the third of them. */
static inline void micronet_load_words_and_pixels(const uint32_t *source, const int8_t *pixels,
                                                  uint32_t *first, uint32_t *second,
                                                  uint32_t *third, uint32_t *low, uint32_t *high) {
  uint32_t a, b, c, d, e;
  __asm__(
      ".p2align 2\n\tldr.w %0, %5\n\tldr.w %1, %6\n\tldr.w %2, %7\n\t"
      "ldr.w %3, [%8]\n\tldr.w %4, [%8, #2]"
      : "=&r"(a), "=&r"(b), "=&r"(c), "=&r"(d), "=r"(e)
      : "m"(source[0]), "m"(source[1]), "m"(source[2]), "r"(pixels),
        "m"(*(const int8_t (*)[6])pixels));
  *first = a;
  *second = b;
  *third = c;
  *low = d;
  *high = e;
}

/* Copies eight words between multiples of 4 bytes, and moves both pointers behind them. Through
 * registers that no compiler keeps for frames or for position-independent data. */
static inline void micronet_copy_8_words(int8_t **destination, const int8_t **source) {
  int8_t *to = *destination;
  const int8_t *from = *source;
  /* "memory" instead of operands, whose addresses would need registers without optimisation. */
  __asm__ volatile(
      "ldmia %1!, {r2, r3, r4, r5, r6, r8, r10, r12}\n\t"
      "stmia %0!, {r2, r3, r4, r5, r6, r8, r10, r12}"
      : "+r"(to), "+r"(from)
      :
      : "r2", "r3", "r4", "r5", "r6", "r8", "r10", "r12", "memory");
  *destination = to;
  *source = from;
}

/* Two words of one place and four of another, each at a multiple of 4 bytes; moves both pointers
 * behind them. One LDR behind the other takes a Cortex-M4 7 cycles; three LDRD take it 9. They must
 * be at multiples of 4 bytes for that, and so are all of one length. */
static inline void micronet_load_2_and_4_words(const uint32_t **two, const uint32_t **four,
                                               uint32_t *words) {
  const uint32_t *twos = *two, *fours = *four;
  uint32_t a, b, c, d, e, f;
  __asm__(
      ".p2align 2\n\tldr.w %1, [%6, #4]\n\tldr.w %3, [%7, #4]\n\tldr.w %4, [%7, #8]\n\t"
      "ldr.w %5, [%7, #12]\n\tldr.w %0, [%6], #8\n\tldr.w %2, [%7], #16"
      : "=&r"(a), "=&r"(b), "=&r"(c), "=&r"(d), "=&r"(e), "=&r"(f), "+r"(twos), "+r"(fours)
      : "m"(*(const uint32_t (*)[2])twos), "m"(*(const uint32_t (*)[4])fours));
  *two = twos;
  *four = fours;
  words[0] = a;
  words[1] = b;
  words[2] = c;
  words[3] = d;
  words[4] = e;
  words[5] = f;
}

/* Two words, one and 4 behind it, of `inputs`, and four words, each 4 behind the one before, of
 * `weights`, at multiples of 4 bytes; see above. */
static inline void micronet_load_partners(const uint32_t *inputs, const uint32_t *weights,
                                          uint32_t *words) {
  uint32_t a, b, c, d, e, f;
  __asm__(
      ".p2align 2\n\tldr.w %0, %6\n\tldr.w %1, %7\n\tldr.w %2, %8\n\tldr.w %3, %9\n\t"
      "ldr.w %4, %10\n\tldr.w %5, %11"
      : "=&r"(a), "=&r"(b), "=&r"(c), "=&r"(d), "=&r"(e), "=&r"(f)
      : "m"(inputs[0]), "m"(inputs[4]), "m"(weights[0]), "m"(weights[4]), "m"(weights[8]),
        "m"(weights[12]));
  words[0] = a;
  words[1] = b;
  words[2] = c;
  words[3] = d;
  words[4] = e;
  words[5] = f;
}

/* The same; moves both pointers behind 8 and 16 words. */
static inline void micronet_load_next_partners(const uint32_t **inputs, const uint32_t **weights,
                                               uint32_t *words) {
  const uint32_t *next_inputs = *inputs, *next_weights = *weights;
  uint32_t a, b, c, d, e, f;
  __asm__(
      ".p2align 2\n\tldr.w %1, [%6, #16]\n\tldr.w %3, [%7, #16]\n\tldr.w %4, [%7, #32]\n\t"
      "ldr.w %5, [%7, #48]\n\tldr.w %0, [%6], #32\n\tldr.w %2, [%7], #64"
      : "=&r"(a), "=&r"(b), "=&r"(c), "=&r"(d), "=&r"(e), "=&r"(f), "+r"(next_inputs),
        "+r"(next_weights)
      : "m"(*(const uint32_t (*)[8])next_inputs), "m"(*(const uint32_t (*)[16])next_weights));
  *inputs = next_inputs;
  *weights = next_weights;
  words[0] = a;
  words[1] = b;
  words[2] = c;
  words[3] = d;
  words[4] = e;
  words[5] = f;
}

/* Eight int8 of one place and eight of another, of any alignment; moves both pointers by `step`;
 * see above. */
static inline void micronet_load_8_twice(const int8_t **first, const int8_t **second, int32_t step,
                                         uint32_t *words) {
  const int8_t *firsts = *first, *seconds = *second;
  uint32_t a, b, c, d;
  __asm__(
      ".p2align 2\n\tldr.w %0, [%4]\n\tldr.w %1, [%4, #4]\n\tldr.w %2, [%5]\n\t"
      "ldr.w %3, [%5, #4]\n\tadd.w %4, %4, %6\n\tadd.w %5, %5, %6"
      : "=&r"(a), "=&r"(b), "=&r"(c), "=&r"(d), "+r"(firsts), "+r"(seconds)
      : "r"(step), "m"(*(const int8_t (*)[8])firsts), "m"(*(const int8_t (*)[8])seconds));
  *first = firsts;
  *second = seconds;
  words[0] = a;
  words[1] = b;
  words[2] = c;
  words[3] = d;
}

/* A compiler keeps nothing in registers across it that it can load again: for loops that need all
 * registers. */
static inline void micronet_forget_memory(void) { __asm__ volatile("" : : : "memory"); }

/* Saturated to int16. */
static inline int32_t micronet_saturate_int16(int32_t value) {
  int32_t result;
  __asm__("ssat %0, #16, %1" : "=r"(result) : "r"(value));
  return result;
}

/* The larger of each of two int16. */
static inline uint32_t micronet_maximum_2(uint32_t a, uint32_t b) {
  uint32_t result;
  __asm__("ssub16 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(result) : "r"(a), "r"(b) : "cc");
  return result;
}

/* The smaller of each of two int16. */
static inline uint32_t micronet_minimum_2(uint32_t a, uint32_t b) {
  uint32_t result;
  __asm__("ssub16 %0, %1, %2\n\tsel %0, %2, %1" : "=&r"(result) : "r"(a), "r"(b) : "cc");
  return result;
}

/* value / 4096, rounded down and saturated to int8. */
static inline int32_t micronet_saturate_int8_asr12(int32_t value) {
  int32_t result;
  __asm__("ssat %0, #8, %1, asr #12" : "=r"(result) : "r"(value));
  return result;
}

/* 0 for a negative value, all others as they are. */
static inline int32_t micronet_saturate_positive(int32_t value) {
  int32_t result;
  __asm__("usat %0, #31, %1" : "=r"(result) : "r"(value));
  return result;
}

/* Two int8 of any alignment in the lower half. */
static inline uint32_t micronet_load_2(const int8_t *source) {
  uint16_t half;
  memcpy(&half, source, 2);
  return half;
}

/* Two int8, `step` bytes apart. Loads side by side take a cycle less. */
static inline void micronet_load_2_int8(const int8_t *source, int32_t step, int32_t *first,
                                        int32_t *second) {
  int32_t a, b;
  __asm__("ldrsb %0, [%2]\n\tldrsb %1, [%2, %3]"
          : "=&r"(a), "=r"(b)
          : "r"(source), "r"(step), "m"(source[0]), "m"(source[step]));
  *first = a;
  *second = b;
}

/* Stores two words at `destination`, a multiple of 4 bytes; returns the address behind them. */
static inline uint32_t *micronet_store_2_words(uint32_t *destination, uint32_t first,
                                               uint32_t second) {
  uint32_t *next = destination;
  __asm__("strd %2, %3, [%0], #8"
          : "+r"(next), "=m"(*(uint32_t (*)[2])destination)
          : "r"(first), "r"(second));
  return next;
}

/* base + 2 * step. In one instruction: a compiler computes 2 * step before a loop, for which it
 * takes one more register. */
static inline uintptr_t micronet_add_twice(uintptr_t base, int32_t step) {
  uintptr_t result;
  __asm__("add %0, %1, %2, lsl #1" : "=r"(result) : "r"(base), "r"(step));
  return result;
}

/* The low halfword of `low` and, above it, bytes 1 and 2 of `word`. */
static inline uint32_t micronet_pack_low_middle(uint32_t low, uint32_t word) {
  uint32_t result;
  __asm__("pkhbt %0, %1, %2, lsl #8" : "=r"(result) : "r"(low), "r"(word));
  return result;
}

/* In what follows unaligned accesses are made only if the compiler may make them, too. */

/* Two bytes at `source`, and four that stand `distance` behind; returns `source` plus the low
 * halfword of `steps`. One block of instructions, because loads in a row take less. */
static inline const int8_t *micronet_load_2_and_4(const int8_t *source, intptr_t distance,
                                                  uint32_t steps, uint32_t *two, uint32_t *four) {
#if defined(__ARM_FEATURE_UNALIGNED)
  uint32_t a, b;
  __asm__ volatile("ldr %1, [%2, %3]\n\tldrh %0, [%2]\n\tuxtah %2, %2, %4"
                   : "=&l"(a), "=&r"(b), "+l"(source)
                   : "r"(distance), "r"(steps)
                   : "memory");
  *two = a;
  *four = b;
  return source;
#else
  *two = micronet_load_2(source);
  *four = micronet_load_4(source + distance);
  return source + (uint16_t)steps;
#endif
}

/* The same, and stores the lowest byte of `value` that many bytes behind the old `source`. */
static inline const int8_t *micronet_store_1_load_2_and_4(const int8_t *source, intptr_t distance,
                                                          uint32_t steps, uint32_t *two,
                                                          uint32_t *four, int32_t value,
                                                          intptr_t distance_1) {
#if defined(__ARM_FEATURE_UNALIGNED)
  uint32_t a, b;
  __asm__ volatile("ldr %1, [%2, %3]\n\tldrh %0, [%2]\n\tstrb %5, [%2, %6]\n\tuxtah %2, %2, %4"
                   : "=&l"(a), "=&r"(b), "+l"(source)
                   : "r"(distance), "r"(steps), "r"(value), "r"(distance_1)
                   : "memory");
  *two = a;
  *four = b;
  return source;
#else
  int8_t *target = (int8_t *)((uintptr_t)source + (uintptr_t)distance_1);
  source = micronet_load_2_and_4(source, distance, steps, two, four);
  *target = (int8_t)value;
  return source;
#endif
}

/* As `micronet_load_2_and_4`, but with a word of two bytes and one each that stands `distance` and
 * `*distance_2` behind; the latter is read from memory each time, where registers are scarce. */
static inline const int8_t *micronet_load_2_1_1(const int8_t *source, intptr_t distance,
                                                const intptr_t *distance_2, uint32_t steps,
                                                uint32_t *word) {
#if defined(__ARM_FEATURE_UNALIGNED)
  uint32_t a, b, c;
  __asm__ volatile(
      ".balign 4\n\tldr.w %2, %6\n\tldrb.w %1, [%3, %4]\n\tldrb.w %2, [%3, %2]\n\t"
      "ldrh.w %0, [%3]\n\tuxtah %3, %3, %5\n\t"
      "orr %0, %0, %1, lsl #16\n\torr %0, %0, %2, lsl #24"
      : "=&r"(a), "=&r"(b), "=&r"(c), "+r"(source)
      : "r"(distance), "r"(steps), "m"(*distance_2)
      : "memory");
  *word = a;
  return source;
#else
  *word = micronet_load_2(source) | (uint32_t)(uint8_t)source[distance] << 16 |
          (uint32_t)(uint8_t)source[*distance_2] << 24;
  return source + (uint16_t)steps;
#endif
}

/* Four words; returns the address behind them. Loads in a row take a cycle each, two each of
 * micronet_load_2_words one more; aligned, as they do not where they are not.
 *
 * source: at a multiple of 4 bytes. */
static inline const uint32_t *micronet_load_4_words(const uint32_t *source, uint32_t *words) {
  uint32_t a, b, c, d;
  __asm__ volatile(
      ".balign 4\n\tldr.w %1, [%4, #4]\n\tldr.w %2, [%4, #8]\n\tldr.w %3, [%4, #12]\n\t"
      "ldr.w %0, [%4], #16"
      : "=&r"(a), "=&r"(b), "=&r"(c), "=&r"(d), "+r"(source)
      :
      : "memory");
  words[0] = a;
  words[1] = b;
  words[2] = c;
  words[3] = d;
  return source;
}

/* Stores the lowest byte of `value`; returns `destination` plus the low halfword of `step`. */
static inline int8_t *micronet_store_1(int8_t *destination, int32_t value, uint32_t step) {
  __asm__ volatile("strb.w %1, [%0]\n\tuxtah %0, %0, %2"
                   : "+r"(destination)
                   : "r"(value), "r"(step)
                   : "memory");
  return destination;
}

/* The larger of each of four int8. Two instructions, because flags pass between them. */
static inline uint32_t micronet_maximum_4(uint32_t a, uint32_t b) {
  uint32_t result;
  __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(result) : "r"(a), "r"(b) : "cc");
  return result;
}

/* The smaller of each of four int8. */
static inline uint32_t micronet_minimum_4(uint32_t a, uint32_t b) {
  uint32_t result;
  __asm__("ssub8 %0, %1, %2\n\tsel %0, %2, %1" : "=&r"(result) : "r"(a), "r"(b) : "cc");
  return result;
}

#endif /* MICRONET_DSP */

#if defined(MICRONET_MVE)

/* Lanes 0 and 2; the others are undefined. */
static inline int32x4_t micronet_join_even(int32_t lane_0, int32_t lane_2) {
  int32x4_t lanes;
  __asm__("vmov %q0[2], %q0[0], %1, %2" : "=w"(lanes) : "r"(lane_0), "r"(lane_2));
  return lanes;
}

/* `lanes` with other lanes 1 and 3. */
static inline int32x4_t micronet_join_odd(int32x4_t lanes, int32_t lane_1, int32_t lane_3) {
  __asm__("vmov %q0[3], %q0[1], %1, %2" : "+w"(lanes) : "r"(lane_1), "r"(lane_3));
  return lanes;
}

/* Each int32 saturated to int16, in the low half of its lane; the high half is undefined. */
static inline int32x4_t micronet_saturate_low_halves(int32x4_t lanes) {
  __asm__("vqmovnb.s32 %q0, %q0" : "+w"(lanes));
  return lanes;
}

/* Each int16 saturated to int8, in the low byte of its lane; the high byte is undefined. */
static inline int16x8_t micronet_saturate_low_bytes(int16x8_t lanes) {
  __asm__("vqmovnb.s16 %q0, %q0" : "+w"(lanes));
  return lanes;
}

#endif /* MICRONET_MVE */

#endif

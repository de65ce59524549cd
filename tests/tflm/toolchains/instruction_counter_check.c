/* SPDX-License-Identifier: Apache-2.0 */
/* Measures instruction sequences of known length. Input: 32-bit words, the iterations of one loop
 * each. Output: 64-bit counts: of NOP_COUNTS in test_instruction_counter.py, of the sequences below
 * them, and of the loops. */
#include "host.h"
#include "instruction_counter.h"

#define NOPS(count)                                                 \
  __attribute__((naked)) static void nops_##count(void *argument) { \
    (void)argument;                                                 \
    __asm__ volatile(".rept " #count "\n nop\n .endr\n bx lr\n");   \
  }
/* clang-format off */
NOPS(0) NOPS(1) NOPS(2) NOPS(3) NOPS(4) NOPS(5) NOPS(6) NOPS(7) NOPS(8) NOPS(9) NOPS(10) NOPS(11)
NOPS(12) NOPS(13) NOPS(14) NOPS(15) NOPS(16) NOPS(17) NOPS(31) NOPS(100) NOPS(999) NOPS(1000)
    /* clang-format on */

    /* Each an instruction that takes several cycles on hardware, and the return. */
    __attribute__((naked)) static void load_multiple(void *argument) {
  (void)argument;
  __asm__ volatile("ldm sp, {r0-r3, r12}\n bx lr\n");
}

__attribute__((naked)) static void divide(void *argument) {
  (void)argument;
  __asm__ volatile("sdiv r0, r0, r0\n bx lr\n");
}

/* An IT block of which the first instruction is passed over: it, cmp, two moves, and the return. */
__attribute__((naked)) static void skip(void *argument) {
  (void)argument;
  __asm__ volatile("cmp r0, r0\n ite ne\n movne r0, #1\n moveq r0, #2\n bx lr\n");
}

/* 3 + 2n instructions: ldr, nop, n times (subs, bne), bx. */
__attribute__((naked)) static void loop(void *iterations) {
  (void)iterations;
  __asm__ volatile("ldr r1, [r0]\n nop\n 1: subs r1, #1\n bne 1b\n bx lr\n");
}

static void report(void (*work)(void *), void *argument) {
  const uint64_t count = instruction_counter_measure(work, argument);
  host_write(&count, sizeof(count));
}

int main(void) {
  static void (*const sequences[])(void *) = {
      nops_0,  nops_1,   nops_2,   nops_3,    nops_4,        nops_5,  nops_6,  nops_7,  nops_8,
      nops_9,  nops_10,  nops_11,  nops_12,   nops_13,       nops_14, nops_15, nops_16, nops_17,
      nops_31, nops_100, nops_999, nops_1000, load_multiple, divide,  skip,
  };
  for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); ++i) report(sequences[i], NULL);
  for (size_t left = host_input_size() / 4; left > 0; --left) {
    uint32_t iterations;
    host_read(&iterations, sizeof(iterations));
    report(loop, &iterations);
  }
  return 0;
}

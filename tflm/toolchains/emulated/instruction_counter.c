/* SPDX-License-Identifier: Apache-2.0 */
#include "instruction_counter.h"

static const uint64_t kReturnInstruction = 1;

static void do_nothing(void *argument) { (void)argument; }

/* Not inlined, so that every measurement executes the same instructions around the work. */
__attribute__((noinline)) static uint64_t count_with_overhead(void (*work)(void *),
                                                              void *argument) {
  const uint64_t before = instruction_counter_read();
  work(argument);
  return instruction_counter_read() - before;
}

uint64_t instruction_counter_measure(void (*work)(void *), void *argument) {
  void (*volatile nothing)(void *) = do_nothing; /* volatile: the call must stay a call */
  const uint64_t overhead = count_with_overhead(nothing, argument) - kReturnInstruction;
  return count_with_overhead(work, argument) - overhead;
}

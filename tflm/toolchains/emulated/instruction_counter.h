/* SPDX-License-Identifier: Apache-2.0 */
/* Counts the instructions that the emulated processor executes.
 *
 * The emulator runs with a virtual clock that advances 64 ns with each instruction. A board timer
 * with a shorter period shows that clock, so that each reading stands for one number of
 * instructions. */
#ifndef INSTRUCTION_COUNTER_H
#define INSTRUCTION_COUNTER_H

#include <stdint.h>

/* Starts the count. The start-up code calls it before main. */
void instruction_counter_start(void);

/* Instructions executed since the start, up to the reading. The difference of two calls contains
 * the instructions of a call itself, the same number every time. */
uint64_t instruction_counter_read(void);

/* Instructions that `work(argument)` executes, its return included and the call not. */
uint64_t instruction_counter_measure(void (*work)(void *), void *argument);

#endif

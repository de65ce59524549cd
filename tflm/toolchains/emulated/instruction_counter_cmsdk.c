/* SPDX-License-Identifier: Apache-2.0 */
/* Instruction counter of the MPS2 boards, from two of their timers, running down at 25 MHz. */
#include "instruction_counter.h"

/* The timer, 32 bits at the full rate. */
typedef struct {
  volatile uint32_t control;
  volatile uint32_t value;
  volatile uint32_t reload;
  volatile uint32_t interrupt;
} Timer;

/* The first half of the dual timer, 32 bits at 1/256 of the rate. */
typedef struct {
  volatile uint32_t load;
  volatile uint32_t value;
  volatile uint32_t control;
} SlowTimer;

#define TIMER ((Timer *)0x40000000u)
#define SLOW_TIMER ((SlowTimer *)0x40002000u)

static const uint32_t kTimerEnable = 1u << 0;
static const uint32_t kSlowTimerControl = 1u << 7 | /* enabled */
                                          2u << 2 | /* one tick in 256 */
                                          1u << 1;  /* 32 bits, free running */
static const uint32_t kFirstValue = 0xFFFFFFFFu;

void instruction_counter_start(void) {
  TIMER->control = 0;
  SLOW_TIMER->control = 0;
  TIMER->reload = kFirstValue;
  TIMER->value = kFirstValue;
  SLOW_TIMER->load = kFirstValue;
  TIMER->control = kTimerEnable;
  SLOW_TIMER->control = kSlowTimerControl;
}

uint64_t instruction_counter_read(void) {
  /* After n instructions the timer has run down by the least number of ticks >= n * 64 ns / 40 ns,
   * counted from 2^32, so that rounding down gives n. */
  const uint32_t ticks = 0u - TIMER->value;
  /* It wraps every 2.7e9 instructions: the slow timer tells how often it has. */
  const uint64_t estimate = (uint64_t)(kFirstValue - SLOW_TIMER->value) << 8;
  const int32_t difference = (int32_t)(ticks - (uint32_t)estimate);
  return (estimate + (uint64_t)(int64_t)difference) * 5 >> 3;
}

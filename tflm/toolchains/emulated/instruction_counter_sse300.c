/* SPDX-License-Identifier: Apache-2.0 */
/* Instruction counter of the MPS3 AN547 board, from the system counter of Arm's SSE-300 subsystem,
 * which counts up at 32 MHz in 64 bits. */
#include "instruction_counter.h"

typedef struct {
  volatile uint32_t control;
  volatile uint32_t status;
  volatile uint32_t value_low;
  volatile uint32_t value_high;
} SystemCounter;

#define SYSTEM_COUNTER ((SystemCounter *)0x58100000u)

static const uint32_t kCounterEnable = 1u << 0;

void instruction_counter_start(void) {
  SYSTEM_COUNTER->control = 0;
  SYSTEM_COUNTER->value_low = 0;
  SYSTEM_COUNTER->value_high = 0;
  SYSTEM_COUNTER->control = kCounterEnable;
}

uint64_t instruction_counter_read(void) {
  /* The high word may change between the readings. When the low word is in its upper half it has
   * not wrapped since the first reading, otherwise it does not wrap before the last. */
  const uint32_t high_before = SYSTEM_COUNTER->value_high;
  const uint32_t low = SYSTEM_COUNTER->value_low;
  const uint32_t high_after = SYSTEM_COUNTER->value_high;
  const uint32_t high = low >> 31 ? high_before : high_after;
  /* After n instructions the counter shows n * 64 / 31.25, rounded down: rounding up gives n. */
  return (((uint64_t)high << 32 | low) * 125 + 255) >> 8;
}

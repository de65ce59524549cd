/* SPDX-License-Identifier: Apache-2.0 */
/* Start-up of boards with a Cortex-M processor: vector table, memory, floating-point unit. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cortex_m.h"
#include "platform.h"

int main(void);
void CycleCounterWrap(void);

/* Defined by sections.ld; only their addresses mean something. */
extern uint32_t linker_stack_end[];
extern uint8_t linker_data_start[], linker_data_end[], linker_data_image[];
extern uint8_t linker_zero_start[], linker_zero_end[];
extern void (*const linker_constructors_start[])(void);
extern void (*const linker_constructors_end[])(void);

static const uint32_t kMostTurns = 1000000; /* some tens of milliseconds with any clock */

int WaitForBits(const volatile uint32_t *address, uint32_t mask) {
  for (uint32_t turn = 0; turn < kMostTurns; ++turn) {
    if ((*address & mask) == mask) return 1;
  }
  return 0;
}

/* Of static objects of C++, and functions with that attribute. */
static void RunConstructors(void) {
  const ptrdiff_t count = linker_constructors_end - linker_constructors_start;
  for (ptrdiff_t i = 0; i < count; ++i) linker_constructors_start[i]();
}

/* Like all that assembly names not static: optimisation at link time would lose sight of it. */
__attribute__((noreturn, used)) void RunProgram(void) {
  memcpy(linker_data_start, linker_data_image, (size_t)(linker_data_end - linker_data_start));
  memset(linker_zero_start, 0, (size_t)(linker_zero_end - linker_zero_start));
  BoardStart();
  CycleCounterStart();
  RunConstructors();
  PlatformExit(main());
}

/* Gives access to coprocessors 10 and 11 (CPACR): the floating-point unit and on Cortex-M55 the
 * vector extension too. Written in assembly: compiled code could use their registers before. */
__attribute__((naked)) static void ResetHandler(void) {
  __asm__ volatile(
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
      "ldr r0, =0xE000ED88\n"
      "ldr r1, [r0]\n"
      "orr r1, r1, #0xF00000\n"
      "str r1, [r0]\n"
      "dsb\n"
      "isb\n"
#endif
      "bl RunProgram\n"
      ".ltorg\n");
}

typedef void (*Handler)(void);

/* The processor's own entries. Interrupts of the chip follow: a board that uses some has a table of
 * them in the section .interrupt_vectors. */
typedef struct {
  uint32_t *initial_stack;
  Handler reset;
  Handler exceptions[13];
  Handler system_timer;
} VectorTable;

__attribute__((section(".vectors"), used)) const VectorTable vector_table = {
    .initial_stack = linker_stack_end,
    .reset = ResetHandler,
    .exceptions = {FaultHandler, FaultHandler, FaultHandler, FaultHandler, FaultHandler,
                   FaultHandler, FaultHandler, FaultHandler, FaultHandler, FaultHandler,
                   FaultHandler, FaultHandler, FaultHandler},
    .system_timer = CycleCounterWrap,
};

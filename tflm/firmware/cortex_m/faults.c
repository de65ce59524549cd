/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a fault: a line on the serial line, such as
 *   error fault exception=3 pc=080012a4 lr=08000f31 cfsr=00008200 address=60000000
 * exception: its number (3 HardFault, 4 MemManage, 5 BusFault, 6 UsageFault). cfsr: the
 * Configurable Fault Status Register, whose bits the processor's manual explains. address: BFAR,
 * what could not be read or written if bit 15 of cfsr is set. `addr2line -e firmware.elf` finds the
 * line of pc. */
#include <stdint.h>

#include "cortex_m.h"
#include "platform.h"

#define CFSR CORTEX_M_REGISTER(0xE000ED28u)
#define BFAR CORTEX_M_REGISTER(0xE000ED38u)

extern uint32_t linker_stack_start[], linker_stack_end[];

/* Registers that the processor pushes when it takes an exception. */
typedef struct {
  uint32_t r0, r1, r2, r3, r12, link_register, program_counter, status;
} ExceptionFrame;

/* The handler has its own stack: the program's may be what is broken. */
__attribute__((aligned(8), used)) uint32_t fault_stack[128];

static int IsOnStack(const ExceptionFrame *frame) {
  return (uintptr_t)frame >= (uintptr_t)linker_stack_start &&
         (uintptr_t)(frame + 1) <= (uintptr_t)linker_stack_end;
}

static void WriteText(const char *text) {
  for (; *text != '\0'; ++text) PlatformWriteCharacter((uint8_t)*text);
}

static void WriteHexadecimal(const char *name, uint32_t value) {
  WriteText(name);
  for (int shift = 28; shift >= 0; shift -= 4) {
    PlatformWriteCharacter((uint8_t)"0123456789abcdef"[value >> shift & 15u]);
  }
}

__attribute__((noreturn, used)) void ReportFault(const ExceptionFrame *frame, uint32_t exception) {
  const int is_on_stack = IsOnStack(frame);
  WriteText("error fault exception=");
  if (exception >= 10) PlatformWriteCharacter((uint8_t)('0' + exception / 10 % 10));
  PlatformWriteCharacter((uint8_t)('0' + exception % 10));
  WriteHexadecimal(" pc=", is_on_stack ? frame->program_counter : 0);
  WriteHexadecimal(" lr=", is_on_stack ? frame->link_register : 0);
  WriteHexadecimal(" cfsr=", CFSR);
  WriteHexadecimal(" address=", BFAR);
  WriteText("\n");
  PlatformExit(255);
}

__attribute__((naked)) void FaultHandler(void) {
  __asm__ volatile(
      "mrs r0, msp\n"
      "mrs r1, ipsr\n"
      "ldr r2, =fault_stack + 512\n"
      "msr msp, r2\n"
      "bl ReportFault\n"
      ".ltorg\n");
}

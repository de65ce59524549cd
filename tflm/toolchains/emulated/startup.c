/* SPDX-License-Identifier: Apache-2.0 */
/* Start-up of the emulated Cortex-M boards: vector table, processor set-up, memory, faults. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "host.h"
#include "instruction_counter.h"
#include "memory_protection.h"

int main(void);

/* Defined by the linker script; only their addresses mean something. */
extern uint32_t linker_stack_start[], linker_stack_end[];
extern uint8_t linker_data_start[], linker_data_end[], linker_data_image[];
extern uint8_t linker_zero_start[], linker_zero_end[];
extern void (*const linker_constructors_start[])(void);
extern void (*const linker_constructors_end[])(void);

#define SYSTEM_REGISTER(address) (*(volatile uint32_t *)(address))
#define CONFIGURABLE_FAULT_STATUS SYSTEM_REGISTER(0xE000ED28u)
#define HARD_FAULT_STATUS SYSTEM_REGISTER(0xE000ED2Cu)
#define MEMORY_FAULT_ADDRESS SYSTEM_REGISTER(0xE000ED34u)
#define BUS_FAULT_ADDRESS SYSTEM_REGISTER(0xE000ED38u)

/* Registers that the processor pushes when it takes an exception. */
typedef struct {
  uint32_t r0, r1, r2, r3, r12, link_register, program_counter, status;
} ExceptionFrame;

/* The handler has its own stack: the program's may be what is broken. */
static uint32_t fault_stack[256] __attribute__((aligned(8), used));

static bool is_on_stack(const ExceptionFrame *frame) {
  return (uintptr_t)frame >= (uintptr_t)linker_stack_start &&
         (uintptr_t)(frame + 1) <= (uintptr_t)linker_stack_end;
}

__attribute__((used)) static void report_fault(const ExceptionFrame *frame, uint32_t exception) {
  HostFaultReport report = {
      .exception_number = exception,
      .stack_pointer = (uint32_t)(uintptr_t)frame,
      .configurable_fault_status = CONFIGURABLE_FAULT_STATUS,
      .hard_fault_status = HARD_FAULT_STATUS,
      .memory_fault_address = MEMORY_FAULT_ADDRESS,
      .bus_fault_address = BUS_FAULT_ADDRESS,
  };
  if (is_on_stack(frame)) {
    report.program_counter = frame->program_counter;
    report.link_register = frame->link_register;
  }
  host_exit_with_fault(&report);
}

__attribute__((naked)) static void fault_handler(void) {
  __asm__ volatile(
      "mrs r0, msp\n"
      "mrs r1, ipsr\n"
      "ldr r2, =fault_stack + 1024\n"
      "msr msp, r2\n"
      "b report_fault\n");
}

/* Of static objects of C++, and functions with that attribute. */
static void run_constructors(void) {
  const ptrdiff_t count = linker_constructors_end - linker_constructors_start;
  for (ptrdiff_t i = 0; i < count; ++i) {
    linker_constructors_start[i]();
  }
}

__attribute__((noreturn, used)) static void run_program(void) {
  memcpy(linker_data_start, linker_data_image, (size_t)(linker_data_end - linker_data_start));
  memset(linker_zero_start, 0, (size_t)(linker_zero_end - linker_zero_start));
  memory_protection_start();
  instruction_counter_start();
  run_constructors();
  host_exit(main());
}

/* Gives access to coprocessors 10 and 11, the floating-point unit and on Cortex-M55 the vector
 * extension too. Written in assembly: compiled code could use their registers before. */
__attribute__((naked)) static void reset_handler(void) {
  __asm__ volatile(
      "ldr r0, =0xE000ED88\n"
      "ldr r1, [r0]\n"
      "orr r1, r1, #0xF00000\n"
      "str r1, [r0]\n"
      "dsb\n"
      "isb\n"
      "b run_program\n");
}

typedef void (*Handler)(void);

typedef struct {
  uint32_t *initial_stack;
  Handler reset;
  Handler exceptions[14];
} VectorTable;

__attribute__((section(".vectors"), used)) const VectorTable vector_table = {
    .initial_stack = linker_stack_end,
    .reset = reset_handler,
    .exceptions = {fault_handler, fault_handler, fault_handler, fault_handler, fault_handler,
                   fault_handler, fault_handler, fault_handler, fault_handler, fault_handler,
                   fault_handler, fault_handler, fault_handler, fault_handler},
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Start-up and the way out for a self-test on any Cortex-M that QEMU emulates: no vendor's code, no
 * C library's files, output and end by semihosting.
 *
 * Defined outside: SELF_TEST, ARENA_BYTES, HEADER; by the linker: stack_top. */
#include <stdint.h>

#include HEADER

extern uint32_t stack_top[];
__attribute__((aligned(16))) static uint8_t arena[ARENA_BYTES];

static void semihosting(uint32_t operation, uintptr_t argument) {
  register uint32_t r0 __asm__("r0") = operation;
  register uintptr_t r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static void write_number(int32_t number) {
  char text[12];
  char *place = &text[11];
  uint32_t rest = number < 0 ? 0u - (uint32_t)number : (uint32_t)number;
  *place = 0;
  do {
    *--place = (char)('0' + rest % 10u);
    rest /= 10u;
  } while (rest != 0);
  if (number < 0) *--place = '-';
  semihosting(0x04, (uintptr_t)place); /* SYS_WRITE0 */
}

void reset(void) {
#if !defined(__SOFTFP__)
  *(volatile uint32_t *)0xe000ed88u |= 0xfu << 20; /* CPACR: floating point, vectors */
  __asm__ volatile("dsb\n\tisb");
#endif
#if !defined(__ARM_FEATURE_UNALIGNED)
  *(volatile uint32_t *)0xe000ed14u |= 1u << 3; /* CCR.UNALIGN_TRP, where there is one */
#endif
  write_number(SELF_TEST(arena, sizeof(arena)));
  semihosting(0x18, 0x20026); /* SYS_EXIT: ADP_Stopped_ApplicationExit */
  for (;;) {
  }
}

static void fault(void) {
  semihosting(0x04, (uintptr_t)"fault");
  semihosting(0x18, 0x20026);
  for (;;) {
  }
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    stack_top,           (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault};

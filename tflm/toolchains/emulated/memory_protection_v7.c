/* SPDX-License-Identifier: Apache-2.0 */
/* Memory protection of Cortex-M4 and Cortex-M7. */
#include "memory_protection.h"

typedef struct {
  volatile uint32_t type;
  volatile uint32_t control;
  volatile uint32_t region_number;
  volatile uint32_t region_base;
  volatile uint32_t region_attributes;
} ProtectionUnit;

#define PROTECTION_UNIT ((ProtectionUnit *)0xE000ED90u)

static const uint32_t kNoAccess = 1u << 28 | 0u << 24;
static const uint32_t kReadAndExecute = 6u << 24 | 1u << 19 | 3u << 16;
static const uint32_t kReadAndWrite = 1u << 28 | 3u << 24 | 1u << 19 | 3u << 16;
static const uint32_t kDevice = 1u << 28 | 3u << 24 | 1u << 16;

/* The unit wants sizes that are powers of two, and starts that are multiples of the size. Of the
 * regions that cover an address, the one with the highest number decides. */
static void set_region(uint32_t number, uintptr_t start, uintptr_t size, uint32_t attributes) {
  const uint32_t log2_of_size = 31u - (uint32_t)__builtin_clz(size);
  PROTECTION_UNIT->region_number = number;
  PROTECTION_UNIT->region_base = start;
  PROTECTION_UNIT->region_attributes = attributes | (log2_of_size - 1u) << 1 | 1u;
}

void memory_protection_start(void) {
  const uintptr_t code_start = (uintptr_t)linker_code_start;
  const uintptr_t memory_start = (uintptr_t)linker_memory_start;
  const uintptr_t bulk_start = (uintptr_t)linker_bulk_start;
  set_region(0, 0, (uintptr_t)linker_code_end, kReadAndExecute);
  set_region(1, 0, code_start, kNoAccess); /* the vector table */
  set_region(2, memory_start, (uintptr_t)linker_memory_end - memory_start, kReadAndWrite);
  set_region(3, bulk_start, (uintptr_t)linker_bulk_end - bulk_start, kReadAndWrite);
  set_region(4, 0x40000000u, 0x10000u, kDevice); /* timers and serial ports */
  PROTECTION_UNIT->control = 1;
  __asm__ volatile("dsb\n isb" ::: "memory");
}

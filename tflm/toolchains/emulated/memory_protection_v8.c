/* SPDX-License-Identifier: Apache-2.0 */
/* Memory protection of Cortex-M55. */
#include "memory_protection.h"

typedef struct {
  volatile uint32_t type;
  volatile uint32_t control;
  volatile uint32_t region_number;
  volatile uint32_t region_base;
  volatile uint32_t region_limit;
} ProtectionUnit;

#define PROTECTION_UNIT ((ProtectionUnit *)0xE000ED90u)
#define MEMORY_ATTRIBUTES (*(volatile uint32_t *)0xE000EDC0u)

static const uint32_t kReadAndExecute = 3u << 1;
static const uint32_t kReadAndWrite = 1u << 1 | 1u;
static const uint32_t kNormalMemory = 0u << 1;
static const uint32_t kDeviceMemory = 1u << 1;

/* `end` is the first address after the region; start and end are multiples of 32. */
static void set_region(uint32_t number, uintptr_t start, uintptr_t end, uint32_t access,
                       uint32_t memory_type) {
  PROTECTION_UNIT->region_number = number;
  PROTECTION_UNIT->region_base = start | access;
  PROTECTION_UNIT->region_limit = (end - 32u) | memory_type | 1u;
}

void memory_protection_start(void) {
  MEMORY_ATTRIBUTES = 0x04u << 8 | 0xFFu; /* index 1: device; index 0: cached memory */
  set_region(0, (uintptr_t)linker_code_start, (uintptr_t)linker_code_end, kReadAndExecute,
             kNormalMemory);
  set_region(1, (uintptr_t)linker_memory_start, (uintptr_t)linker_memory_end, kReadAndWrite,
             kNormalMemory);
  set_region(2, (uintptr_t)linker_bulk_start, (uintptr_t)linker_bulk_end, kReadAndWrite,
             kNormalMemory);
  set_region(3, 0x58100000u, 0x58101000u, kReadAndWrite, kDeviceMemory); /* system counter */
  set_region(4, 0x59303000u, 0x59304000u, kReadAndWrite, kDeviceMemory); /* first serial port */
  PROTECTION_UNIT->control = 1;
  __asm__ volatile("dsb\n isb" ::: "memory");
}

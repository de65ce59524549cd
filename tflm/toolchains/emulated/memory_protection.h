/* SPDX-License-Identifier: Apache-2.0 */
/* Makes accesses outside the program's memories faults, and stops writing to its code.
 *
 * The emulated MPS2 boards ignore writes to unused addresses and let 0 be read there: without
 * protection a wrong pointer or a stack overflow would go unnoticed. */
#ifndef MEMORY_PROTECTION_H
#define MEMORY_PROTECTION_H

#include <stdint.h>

/* Defined by the linker script; only their addresses mean something. */
extern uint8_t linker_code_start[], linker_code_end[];
extern uint8_t linker_memory_start[], linker_memory_end[];
extern uint8_t linker_bulk_start[], linker_bulk_end[];

/* Turns protection on. The vector table stays out of reach, so that null pointers are caught. */
void memory_protection_start(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What boards with a Cortex-M processor share: start-up, faults, cycles. A board adds BoardStart
 * and the other functions of platform.h. */
#ifndef MICRONET_CORTEX_M_H
#define MICRONET_CORTEX_M_H

#include <stdint.h>

#define CORTEX_M_REGISTER(address) (*(volatile uint32_t *)(address))

/* Of the board: clocks, memories' waits, caches, pins, serial line. The start-up code calls it
 * once, when variables have their values, before constructors of C++ and `main`. */
void BoardStart(void);

/* Starts the counter behind PlatformCycles. The start-up code calls it after BoardStart. */
void CycleCounterStart(void);

/* Handles an exception that nobody expects: writes a line that begins with `error fault` to the
 * serial line and stops. An interrupt table's entries that are not used lead here. */
void FaultHandler(void);

/* Waits until all bits of `mask` are set in a register, but not for ever: hardware that is not
 * there must not keep a program from starting. Returns whether they are. */
int WaitForBits(const volatile uint32_t *address, uint32_t mask);

#endif /* MICRONET_CORTEX_M_H */

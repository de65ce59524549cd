/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of platform.h on the emulated boards. */
#include "host.h"
#include "instruction_counter.h"
#include "platform.h"
#include "serial_port.h"

/* Before main, and only in programs that have a serial port. */
__attribute__((constructor)) static void start(void) { serial_port_start(); }

void PlatformWriteCharacter(uint8_t character) { serial_port_write(character); }

int PlatformReadCharacter(void) { return serial_port_read(); }

/* Instructions: the emulator has no cycles. */
uint64_t PlatformCycles(void) { return instruction_counter_read(); }

/* Of the emulator's own time, in which each takes 64 ns; no processor's. */
uint32_t PlatformCyclesPerSecond(void) { return 1000000000u / 64u; }

void PlatformExit(int status) { host_exit(status); }

/* SPDX-License-Identifier: Apache-2.0 */
/* Exchange of bytes with the host that runs the emulator, by Arm semihosting.
 *
 * The host puts the input into the file "input.bin" of the emulator's folder and finds the output
 * in "output.bin". Both are binary; neither is changed on the way. */
#ifndef HOST_H
#define HOST_H

#include <stddef.h>
#include <stdint.h>

/* Registers of the program at a fault, written to the host in this order. */
typedef struct {
  uint32_t exception_number;
  uint32_t program_counter;
  uint32_t link_register;
  uint32_t stack_pointer;
  uint32_t configurable_fault_status; /* CFSR */
  uint32_t hard_fault_status;         /* HFSR */
  uint32_t memory_fault_address;      /* MMFAR */
  uint32_t bus_fault_address;         /* BFAR */
} HostFaultReport;

/* Number of input bytes. */
size_t host_input_size(void);

/* Reads the next `size` input bytes into `destination`. Ends the program when fewer are left. */
void host_read(void *destination, size_t size);

/* Appends `size` bytes to the output. Ends the program when the host refuses them. */
void host_write(const void *source, size_t size);

/* Prints text on the emulator's error stream, for messages to people. */
void host_print(const char *text);

/* Ends the emulation with this exit status: 0 for success, to 255. Any other is reported as 255. */
__attribute__((noreturn)) void host_exit(int status);

/* Leaves `report` for the host and ends the emulation. */
__attribute__((noreturn)) void host_exit_with_fault(const HostFaultReport *report);

#endif

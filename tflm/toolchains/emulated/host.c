/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <stdbool.h>
#include <string.h>

enum {
  SYS_OPEN = 0x01,
  SYS_WRITE0 = 0x04,
  SYS_WRITE = 0x05,
  SYS_READ = 0x06,
  SYS_FLEN = 0x0C,
  SYS_EXIT_EXTENDED = 0x20,
};

enum { OPEN_MODE_READ_BINARY = 1, OPEN_MODE_WRITE_BINARY = 5 };

static const uint32_t kApplicationExit = 0x20026; /* ADP_Stopped_ApplicationExit */
static const int kHostRefused = 255;
enum { NOT_OPEN = -1 };

static int input_handle = NOT_OPEN;
static int output_handle = NOT_OPEN;

static int call_host(int operation, const void *argument) {
  register int r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

void host_exit(int status) {
  /* The host's operating system keeps only the low 8 bits: 256 would look like success. */
  const bool is_representable = status >= 0 && status <= 255;
  const uint32_t block[2] = {kApplicationExit, is_representable ? (uint32_t)status : 255u};
  for (;;) {
    call_host(SYS_EXIT_EXTENDED, block);
  }
}

void host_print(const char *text) { call_host(SYS_WRITE0, text); }

__attribute__((noreturn)) static void refuse(const char *message) {
  host_print(message);
  host_exit(kHostRefused);
}

static int open_file(const char *name, uint32_t mode) {
  const uintptr_t block[3] = {(uintptr_t)name, mode, strlen(name)};
  const int handle = call_host(SYS_OPEN, block);
  if (handle == NOT_OPEN) {
    refuse("the host could not open a file for the program\n");
  }
  return handle;
}

static int opened_input(void) {
  if (input_handle == NOT_OPEN) {
    input_handle = open_file("input.bin", OPEN_MODE_READ_BINARY);
  }
  return input_handle;
}

/* SYS_READ and SYS_WRITE return the number of bytes that were not transferred. */
static bool transfers_all(int operation, int handle, const void *memory, size_t size) {
  const uintptr_t block[3] = {(uintptr_t)handle, (uintptr_t)memory, size};
  return size == 0 || call_host(operation, block) == 0;
}

size_t host_input_size(void) {
  const uintptr_t block[1] = {(uintptr_t)opened_input()};
  const int size = call_host(SYS_FLEN, block);
  if (size < 0) {
    refuse("the host could not tell the size of the input\n");
  }
  return (size_t)size;
}

void host_read(void *destination, size_t size) {
  if (!transfers_all(SYS_READ, opened_input(), destination, size)) {
    refuse("the program asked for more input than there is\n");
  }
}

void host_write(const void *source, size_t size) {
  if (output_handle == NOT_OPEN) {
    output_handle = open_file("output.bin", OPEN_MODE_WRITE_BINARY);
  }
  if (!transfers_all(SYS_WRITE, output_handle, source, size)) {
    refuse("the host did not take the program's output\n");
  }
}

void host_exit_with_fault(const HostFaultReport *report) {
  const int handle = open_file("fault.bin", OPEN_MODE_WRITE_BINARY);
  if (!transfers_all(SYS_WRITE, handle, report, sizeof(*report))) {
    refuse("the host did not take the fault report\n");
  }
  host_exit(kHostRefused);
}

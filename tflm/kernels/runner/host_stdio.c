/* SPDX-License-Identifier: Apache-2.0 */
/* host.h and instruction_counter.h on the host itself: standard input and output, no counts. */
#include <stdio.h>
#include <stdlib.h>

#include "host.h"
#include "instruction_counter.h"

void host_read(void *destination, size_t size) {
  if (fread(destination, 1, size, stdin) != size) {
    host_print("the program asked for more input than there is\n");
    host_exit(1);
  }
}

void host_write(const void *source, size_t size) {
  if (fwrite(source, 1, size, stdout) != size) host_exit(1);
}

void host_print(const char *text) { fputs(text, stderr); }

void host_exit(int status) { exit(status); }

uint64_t instruction_counter_measure(void (*work)(void *), void *argument) {
  work(argument);
  return 0;
}

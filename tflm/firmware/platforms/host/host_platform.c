/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of platform.h on a computer with POSIX. */
#include "platform.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const uint32_t kNanoseconds = 1000000000u; /* of a second */

/* So that a program without input leaves the processor to others. */
static const int kMillisecondsOfAPause = 10;

static uint8_t received[4096];
static ssize_t received_size = 0;
static ssize_t next = 0;

void PlatformWriteCharacter(uint8_t character) {
  putchar(character);
  if (character == '\n' && fflush(stdout) != 0) {
    exit(EXIT_FAILURE); /* nobody listens any more */
  }
}

/* Waits for a moment when there is nothing to read. The end of the input is the program's end. */
int PlatformReadCharacter(void) {
  if (next == received_size) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    if (poll(&input, 1, kMillisecondsOfAPause) <= 0) {
      return -1;
    }
    next = 0;
    received_size = read(STDIN_FILENO, received, sizeof(received));
    if (received_size == -1 && (errno == EAGAIN || errno == EINTR)) {
      received_size = 0;
      return -1;
    }
    if (received_size <= 0) {
      PlatformExit(received_size == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
    }
  }
  return received[next++];
}

/* Nanoseconds: the nearest to cycles that every computer has. */
uint64_t PlatformCycles(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * kNanoseconds + (uint64_t)now.tv_nsec;
}

uint32_t PlatformCyclesPerSecond(void) { return kNanoseconds; }

void PlatformExit(int status) { exit(status); }

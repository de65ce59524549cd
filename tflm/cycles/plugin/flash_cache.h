/* SPDX-License-Identifier: Apache-2.0 */
/* A small cache between a processor and its flash, as microcontrollers have them: `lines` lines of
 * `line_bytes`, in sets of `ways`, the least recently used one of a set replaced; a line is filled
 * `fill_bytes` at a time, as they are read. Without lines, each read goes to the flash. */
#ifndef FLASH_CACHE_H
#define FLASH_CACHE_H

#include <stdbool.h>
#include <stdint.h>

enum { FLASH_CACHE_MOST_LINES = 1024 };

typedef struct {
  uint32_t line;   /* the address divided by the bytes of a line; kNoLine if there is none */
  uint32_t filled; /* bit i: its part i is there */
} FlashCacheLine;

typedef struct {
  uint32_t lines, ways, line_bytes, fill_bytes;
  FlashCacheLine line[FLASH_CACHE_MOST_LINES]; /* set after set, in each the latest one first */
} FlashCache;

/* Reads "LINES:WAYS:LINE_BYTES:FILL_BYTES"; *text is then what follows. False if they make no
 * cache: sizes are powers of 2, a line has at most 32 parts, the lines are a multiple of the ways.
 */
bool flash_cache_parse(FlashCache *cache, const char **text);

/* How many parts the flash is read for, when `bytes` bytes are read from an address on. */
uint32_t flash_cache_read(FlashCache *cache, uint32_t address, uint32_t bytes);

#endif

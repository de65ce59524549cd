/* SPDX-License-Identifier: Apache-2.0 */
#include "flash_cache.h"

#include <stdio.h>
#include <string.h>

static const uint32_t kNoLine = 0xFFFFFFFFu;

static bool is_power_of_2(uint32_t value) { return value != 0 && (value & (value - 1)) == 0; }

bool flash_cache_parse(FlashCache *cache, const char **text) {
  int length = 0;
  if (sscanf(*text, "%u:%u:%u:%u%n", &cache->lines, &cache->ways, &cache->line_bytes,
             &cache->fill_bytes, &length) != 4) {
    return false;
  }
  *text += length;
  for (int i = 0; i < FLASH_CACHE_MOST_LINES; ++i) cache->line[i] = (FlashCacheLine){kNoLine, 0};
  if (!is_power_of_2(cache->line_bytes) || !is_power_of_2(cache->fill_bytes)) return false;
  if (cache->fill_bytes > cache->line_bytes || cache->line_bytes / cache->fill_bytes > 32) {
    return false;
  }
  if (cache->lines == 0) return true;
  return cache->lines <= FLASH_CACHE_MOST_LINES && cache->ways != 0 &&
         cache->lines % cache->ways == 0;
}

/* The line's entry, which becomes the first of its set. */
static FlashCacheLine *find_line(FlashCache *cache, uint32_t line) {
  FlashCacheLine *set = &cache->line[line % (cache->lines / cache->ways) * cache->ways];
  if (set[0].line == line) return set;
  uint32_t way = 1;
  while (way < cache->ways && set[way].line != line) ++way;
  const FlashCacheLine found = way < cache->ways ? set[way] : (FlashCacheLine){line, 0};
  if (way == cache->ways) --way;
  memmove(&set[1], &set[0], way * sizeof(*set));
  set[0] = found;
  return set;
}

uint32_t flash_cache_read(FlashCache *cache, uint32_t address, uint32_t bytes) {
  const uint32_t first = address / cache->fill_bytes;
  const uint32_t last = (address + bytes - 1) / cache->fill_bytes;
  if (cache->lines == 0) return last - first + 1;
  const uint32_t parts = cache->line_bytes / cache->fill_bytes;
  uint32_t reads = 0;
  for (uint32_t part = first; part <= last; ++part) {
    FlashCacheLine *entry = find_line(cache, part / parts);
    const uint32_t bit = 1u << part % parts;
    reads += (entry->filled & bit) == 0;
    entry->filled |= bit;
  }
  return reads;
}

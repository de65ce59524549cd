/* SPDX-License-Identifier: Apache-2.0 */
/* Copies bytes: internal. */
#ifndef MICRONET_COPY_H
#define MICRONET_COPY_H

#include "processor.h"

/* Four words. */
typedef struct {
  uint32_t words[4];
} __attribute__((may_alias)) micronet_copied_words;

/* In large pieces, if both are aligned: the memcpy of a small C library goes byte by byte. */
static inline void micronet_copy(int8_t *to, const int8_t *from, int32_t bytes) {
#if defined(MICRONET_MVE)
  for (; bytes >= 16; bytes -= 16) {
    vstrbq_s8(to, vldrbq_s8(from));
    to += 16;
    from += 16;
  }
#else
  if (((uintptr_t)to | (uintptr_t)from) % sizeof(uint32_t) == 0) {
#if defined(MICRONET_DSP)
    for (; bytes >= 32; bytes -= 32) micronet_copy_8_words(&to, &from);
#else
    for (; bytes >= 32; bytes -= 32) {
      const micronet_copied_words *read = (const micronet_copied_words *)from;
      micronet_copied_words *write = (micronet_copied_words *)to;
      write[0] = read[0];
      write[1] = read[1];
      to += 32;
      from += 32;
    }
#endif
  }
#endif
  if (bytes > 0) memcpy(to, from, (size_t)bytes);
}

#endif

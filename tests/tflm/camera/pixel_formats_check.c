/* SPDX-License-Identifier: Apache-2.0 */
/* Converts parts of rows, in memory of exactly their sizes, so that sanitizers see its ends. The
 * input is the number of cases, and cases of five numbers of 32 bits: which of the formats below,
 * whether to gray, width of the row, left and width of the part; and the row. The output has what
 * was made of each. */
#include <stdlib.h>

#include "../../../benchmarks/all_pixel_formats.h"
#include "host.h"

#if defined(MEMORY_BYTES) /* on a processor without a heap: the first byte is at an odd address */
static uint8_t row_memory[MEMORY_BYTES + 1], pixels_memory[MEMORY_BYTES + 1];
#define ROW_MEMORY(size) (row_memory + 1)
#define PIXELS_MEMORY(size) (pixels_memory + 1)
#define RELEASE(memory)
#else
#define ROW_MEMORY(size) malloc(size)
#define PIXELS_MEMORY(size) malloc((size) + ((size) == 0))
#define RELEASE(memory) free(memory)
#endif

int main(void) {
  int32_t cases;
  host_read(&cases, sizeof(cases));
  while (cases-- > 0) {
    int32_t head[5];
    host_read(head, sizeof(head));
    const micronet_pixel_format *format = formats[head[0]];
    const size_t row_bytes = (size_t)(head[2] * format->bytes_per_pixel);
    const size_t pixels_bytes = (size_t)(head[4] * (head[1] ? 1 : 3));
    uint8_t *row = ROW_MEMORY(row_bytes);
    uint8_t *pixels = PIXELS_MEMORY(pixels_bytes);
    if (row == NULL || pixels == NULL) return EXIT_FAILURE;
    host_read(row, row_bytes);
    (head[1] ? format->to_gray : format->to_rgb888)(row, head[2], head[3], head[4], pixels);
    host_write(pixels, pixels_bytes);
    RELEASE(row);
    RELEASE(pixels);
  }
  return 0;
}

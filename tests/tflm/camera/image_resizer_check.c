/* SPDX-License-Identifier: Apache-2.0 */
/* Resizes the frames of the standard input. Each is six numbers of 32 bits: height, width and
 * channels of the result, the largest shrink, height and width of the frame; and its pixels. A
 * frame that asks for the same result as the one before is resized by the same resizer. For each
 * the output has the number of rows that came out, or -1 if the resizer refused the frame; and the
 * rows, each behind a number that tells how many rows of the frame had come before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "micronet_image_resizer.h"

enum { RESULT_HEIGHT, RESULT_WIDTH, CHANNELS, SHRINK, HEIGHT, WIDTH, NUMBERS, RESIZER = HEIGHT };

static void require(bool condition) {
  if (!condition) exit(EXIT_FAILURE);
}

static void *allocate(size_t size) {
  void *memory = malloc(size);
  require(memory != NULL);
  return memory;
}

/* Of exactly the needed bytes, so that sanitizers see its ends. */
static void *prepare(micronet_image_resizer *resizer, const int32_t *head, void *memory) {
  const int32_t bytes =
      MICRONET_IMAGE_RESIZER_BYTES(head[RESULT_WIDTH], head[CHANNELS], head[SHRINK]);
  free(memory);
  memory = allocate((size_t)bytes);
  require(!micronet_image_resizer_init(resizer, head[RESULT_WIDTH], head[RESULT_HEIGHT],
                                       head[CHANNELS], head[SHRINK], memory, bytes - 1));
  require(micronet_image_resizer_init(resizer, head[RESULT_WIDTH], head[RESULT_HEIGHT],
                                      head[CHANNELS], head[SHRINK], memory, bytes));
  return memory;
}

static void write_bytes(const void *source, size_t size) {
  require(size == 0 || fwrite(source, 1, size, stdout) == size);
}

int main(void) {
  micronet_image_resizer resizer;
  void *memory = NULL;
  int32_t head[NUMBERS], before[NUMBERS] = {0};
  while (fread(head, 1, sizeof(head), stdin) == sizeof(head)) {
    if (memcmp(head, before, RESIZER * sizeof(head[0])) != 0) {
      memory = prepare(&resizer, head, memory);
    }
    memcpy(before, head, sizeof(head));
    const size_t row_bytes = (size_t)(head[WIDTH] * head[CHANNELS]);
    const size_t result_bytes = (size_t)(head[RESULT_WIDTH] * head[CHANNELS]);
    const size_t answer_bytes = sizeof(int32_t) + result_bytes;
    const bool is_taken = micronet_image_resizer_begin(&resizer, head[WIDTH], head[HEIGHT]);
    char *answers = allocate((size_t)head[RESULT_HEIGHT] * answer_bytes);
    int32_t count = 0;
    for (int32_t y = 0; y < head[HEIGHT]; ++y) {
      uint8_t *row = allocate(row_bytes); /* of its own, so that sanitizers see its ends */
      require(fread(row, 1, row_bytes, stdin) == row_bytes);
      if (is_taken) micronet_image_resizer_push(&resizer, row);
      const uint8_t *result;
      while (is_taken && (result = micronet_image_resizer_next_row(&resizer)) != NULL) {
        require(count < head[RESULT_HEIGHT]);
        char *answer = answers + (size_t)count++ * answer_bytes;
        const int32_t come = y + 1;
        memcpy(answer, &come, sizeof(come));
        memcpy(answer + sizeof(come), result, result_bytes);
      }
      free(row);
    }
    const int32_t answer = is_taken ? count : -1;
    write_bytes(&answer, sizeof(answer));
    write_bytes(answers, (size_t)count * answer_bytes);
    free(answers);
  }
  free(memory);
  return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of any size become the model's input, row by row: no frame is ever in memory.
 *
 * The result is that of training: the largest centred part of the frame with the model's
 * proportions, resized by cubic interpolation (Keys, a = -0.5) whose kernel grows with the shrink,
 * so that all pixels count. Compared with exact arithmetic a value may be off by 1 where that is
 * close to a half. */
#ifndef MICRONET_IMAGE_RESIZER_H
#define MICRONET_IMAGE_RESIZER_H

#include <stdbool.h>
#include <stdint.h>

#include "micronet_shared.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define MICRONET_IMAGE_RESIZER_MOST_SHRINK 16
#define MICRONET_IMAGE_RESIZER_MOST_SIZE 4096 /* pixels of a side of the result */

/* Pixels of a line of the source that count for one of the result, at most. The kernel reaches two
 * pixels to each side, or as many times two as the frame shrinks. */
#define MICRONET_IMAGE_RESIZER_SPAN(shrink) (4 * (shrink))

/* Bytes of memory for a result of `width` pixels of `channels` bytes and frames of at most `shrink`
 * times its width and height: with 3 channels (32 * shrink + 7) * width. */
#define MICRONET_IMAGE_RESIZER_BYTES(width, channels, shrink) \
  ((2 * MICRONET_IMAGE_RESIZER_SPAN(shrink) * ((channels) + 1) + 4 + (channels)) * (width))

/* To be read, not written, by others. */
typedef struct {
  int32_t output_width;
  int32_t output_height;
  int32_t channels;
  int32_t largest_shrink;
  int32_t *column_starts;  /* [output_width]: the first pixel that counts for a column */
  int16_t *rows;           /* [row_span][output_width][channels], resized in one direction */
  int16_t *column_weights; /* [output_width][column_span] */
  uint8_t *output_row;     /* [output_width][channels] */
  int32_t frame_width;     /* 0: there was no frame yet */
  int32_t frame_height;
  int32_t left; /* of the part that counts, in the frame */
  int32_t top;
  int32_t part_width;
  int32_t part_height;
  int32_t column_span; /* pixels that count for a column of the result */
  int32_t row_span;    /* rows that count for a row of the result */
  int32_t frame_rows;  /* of the frame that have come */
  int32_t part_rows;   /* of the part that have come */
  int32_t output_rows; /* of the result that have gone */
  const uint8_t *unchanged_row;
  bool is_unchanged; /* the frame is the result */
} micronet_image_resizer;

/* Prepares a resizer.
 *
 * width, height: of the result in pixels, 1 to MICRONET_IMAGE_RESIZER_MOST_SIZE.
 * channels: bytes of a pixel, 1 or 3.
 * largest_shrink: 1 to MICRONET_IMAGE_RESIZER_MOST_SHRINK.
 * memory: must be there as long as the resizer, at a multiple of 4 bytes.
 * memory_bytes: at least MICRONET_IMAGE_RESIZER_BYTES(width, channels, largest_shrink).
 * Returns whether all that is so. If not, nothing else may be called. */
bool micronet_image_resizer_init(micronet_image_resizer *resizer, int32_t width, int32_t height,
                                 int32_t channels, int32_t largest_shrink, void *memory,
                                 int32_t memory_bytes);

/* Begins a frame and forgets an unfinished one. A frame of another size than the one before takes
 * longer, for its weights.
 *
 * width, height: of the frame in pixels, 1 to 65536.
 * Returns whether it can be resized: the part of it that counts must have at most `largest_shrink`
 * times the result's rows and columns. If not, no rows may be pushed. */
bool micronet_image_resizer_begin(micronet_image_resizer *resizer, int32_t width, int32_t height);

/* Takes the next row of the frame, the top one first.
 *
 * row: width * channels bytes. micronet_image_resizer_next_row must have returned NULL since the
 * last row. */
void micronet_image_resizer_push(micronet_image_resizer *resizer, const uint8_t *row);

/* The same for a caller who leaves out what does not count: instead of micronet_image_resizer_push,
 * and only with the rows `top` to `top + part_height - 1` of the frame.
 *
 * row: part_width * channels bytes, from the pixel `left` of the frame on. */
void micronet_image_resizer_push_part(micronet_image_resizer *resizer, const uint8_t *row);

/* The next row of the result, output_width * channels bytes, or NULL if further rows of the frame
 * must come first. Valid until the next call of a function of this resizer. */
const uint8_t *micronet_image_resizer_next_row(micronet_image_resizer *resizer);

#if defined(__cplusplus)
}
#endif

#endif

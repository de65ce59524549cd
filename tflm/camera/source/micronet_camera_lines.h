/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a camera become rows of the model's input: cropped, converted, resized. The frame may be
 * much larger than the input and is never in memory.
 *
 * The camera's DMA fills two or more line buffers in turn, always in the same order, and waits for
 * nobody. It has two interrupts, one when a frame starts and one when a line is complete. The
 * program takes rows outside of interrupts, one after the other:
 *
 *   DMA ---> line buffers ---> micronet_camera_lines_take ---> ConvertRow ---> the model
 *                ^ micronet_camera_lines_line_ready, in the interrupt
 *
 * If the program is too slow, so that the DMA turns to a buffer that has not been read, the frame
 * is given up as a whole and counted in `overruns`, and the next one that starts is taken: an image
 * is of one frame, or it is not there. So with two buffers a line must have been read when the next
 * is complete, and with more of them a slow line may use the time that quick ones have left.
 *
 * Nothing here waits or disables interrupts. */
#ifndef MICRONET_CAMERA_LINES_H
#define MICRONET_CAMERA_LINES_H

#include "micronet_image_resizer.h"
#include "micronet_pixel_formats.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define MICRONET_CAMERA_MOST_BUFFERS 8

/* How many times the input's size the part of the frame has that counts, rounded up. */
#define MICRONET_CAMERA_SHRINK(frame_width, frame_height, input_width, input_height) \
  (((frame_width) - 1) / (input_width) < ((frame_height) - 1) / (input_height)       \
       ? ((frame_width) - 1) / (input_width) + 1                                     \
       : ((frame_height) - 1) / (input_height) + 1)

/* Bytes of memory, besides the line buffers. */
#define MICRONET_CAMERA_LINES_BYTES(frame_width, frame_height, input_width, input_height, \
                                    input_channels)                                       \
  (MICRONET_IMAGE_RESIZER_BYTES(                                                          \
       input_width, input_channels,                                                       \
       MICRONET_CAMERA_SHRINK(frame_width, frame_height, input_width, input_height)) +    \
   (input_channels) * (input_width) *                                                     \
       MICRONET_CAMERA_SHRINK(frame_width, frame_height, input_width, input_height))

typedef struct {
  const micronet_pixel_format *format; /* such as &micronet_pixels_yuyv */
  int32_t frame_width;                 /* pixels; with Bayer formats half of the sensor's */
  int32_t frame_height;                /* lines; with Bayer formats half of the sensor's */
  int32_t line_buffers;                /* 2 to MICRONET_CAMERA_MOST_BUFFERS */
  int32_t input_width;                 /* the model's */
  int32_t input_height;
  int32_t input_channels; /* 3 (RGB888) or 1 (gray) */
  void *memory;           /* at a multiple of 4 bytes, for as long as lines come */
  int32_t memory_bytes;   /* at least MICRONET_CAMERA_LINES_BYTES(...) */
} micronet_camera_settings;

/* A line that has come and counts. */
typedef struct {
  const uint8_t *bytes;
  int32_t row;       /* of the part of the frame that counts */
  uint32_t sequence; /* number among all lines since the start */
  uint32_t overruns; /* as many as there were when it came */
} micronet_camera_line;

/* The counters may be read at any time; nothing else is for others. */
typedef struct {
  uint32_t frames;                /* that have been given to the program as a whole */
  volatile uint32_t overruns;     /* how often a frame was given up, as the program was too slow */
  volatile uint32_t short_frames; /* after which the next began before all their lines had come */

  /* Written by the interrupts. */
  volatile uint32_t written;
  micronet_camera_line lines[MICRONET_CAMERA_MOST_BUFFERS];
  uint32_t sequence;
  int32_t next_line; /* of the frame; its height: none until a frame starts */

  /* Written by the program. */
  volatile uint32_t released;
  int32_t next_row; /* that must come; -1: no frame has begun */
  int32_t given_rows;
  micronet_image_resizer resizer;
  uint8_t *pixels;          /* of a line, cropped and converted */
  bool is_gray_for_colours; /* resized as gray, which then becomes RGB888 */
  const micronet_pixel_format *format;
  uint32_t line_buffers;
} micronet_camera_lines;

/* What micronet_camera_lines_take has found. */
typedef enum {
  MICRONET_CAMERA_NOTHING,  /* no row can be had before the next line comes */
  MICRONET_CAMERA_BEGIN,    /* a frame begins; an unfinished one before it is to be forgotten */
  MICRONET_CAMERA_ROW,      /* the next row of the input */
  MICRONET_CAMERA_LAST_ROW, /* the last one: the image is complete */
} micronet_camera_part;

/* Prepares everything. To be called before the interrupts are enabled.
 *
 * Returns NULL, or a sentence that says which setting must be otherwise; then nothing else may be
 * called. */
const char *micronet_camera_lines_init(micronet_camera_lines *lines,
                                       const micronet_camera_settings *settings);

/* A frame starts: the next line is its first, and all lines of the frame before are complete. For
 * the interrupt of the vertical synchronization, of the same priority as that of the lines. */
void micronet_camera_lines_frame_start(micronet_camera_lines *lines);

/* A line is complete, and the DMA goes on with the next buffer. For the DMA's interrupt, for every
 * line; those behind the frame's last are passed over.
 *
 * bytes: the line's first. Of a Bayer format both of its lines, one behind the other: its buffers
 * hold two lines, and two lines are one transfer. */
void micronet_camera_lines_line_ready(micronet_camera_lines *lines, const uint8_t *bytes);

/* The DMA was stopped, such as after an error, and starts again with any buffer. All lines that are
 * waiting are given up, and so are those that come before the next frame starts. For an interrupt
 * of the same priority, before the DMA starts. */
void micronet_camera_lines_restart(micronet_camera_lines *lines);

/* What comes next. To be called again and again outside of interrupts, from one thread. Converts at
 * most one line after another until there is a row.
 *
 * row: gets the address of the row: input_width * input_channels bytes, valid until the next call;
 * NULL if there is none.
 * Returns which part of a frame it is. */
micronet_camera_part micronet_camera_lines_take(micronet_camera_lines *lines, const uint8_t **row);

#if defined(__cplusplus)
}
#endif

#endif

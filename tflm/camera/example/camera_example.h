/* SPDX-License-Identifier: Apache-2.0 */
/* From a camera's interrupts to scores: an example to copy. */
#ifndef CAMERA_EXAMPLE_H
#define CAMERA_EXAMPLE_H

#include <stdint.h>

#include "micronet_image_resizer.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* How it goes, since the start. */
typedef struct {
  uint32_t frames;       /* that gave an image */
  uint32_t overruns;     /* frames that were given up, as the program was too slow */
  uint32_t short_frames; /* that the camera ended too early */
} camera_example_counters;

/* Before the camera runs. Returns NULL, or a sentence about what is wrong. */
const char *camera_example_start(void);

/* Interrupt of the vertical synchronization: a frame starts. */
void camera_example_frame_interrupt(void);

/* Interrupt of the DMA: it has filled the buffer of this index and goes on with the next. */
void camera_example_line_interrupt(int32_t index);

/* To be called again and again by the main loop; does a bit of work if there is some.
 *
 * Returns the scores that the model puts out when an image was complete, else NULL. */
const int8_t *camera_example_step(void);

camera_example_counters camera_example_count(void);

/* What makes the model's image of a frame: its left, top, part_width and part_height say which part
 * of the frame this is. */
const micronet_image_resizer *camera_example_resizer(void);

/* Where the DMA writes: CAMERA_LINE_BUFFERS buffers of CAMERA_LINE_BYTES bytes. */
uint8_t *camera_example_line_buffer(int32_t index);

#if defined(__cplusplus)
}
#endif

#endif

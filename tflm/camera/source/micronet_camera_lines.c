/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "micronet_camera_lines.h"

#include <stddef.h>

enum { NO_FRAME = -1 };

/* Neither the compiler nor the processor moves memory accesses across. */
static inline void barrier(void) {
#if defined(__GNUC__)
  __sync_synchronize();
#endif
}

MICRONET_SHARED const char *micronet_camera_lines_init(micronet_camera_lines *lines,
                                                       const micronet_camera_settings *settings) {
  if (lines == NULL || settings == NULL || settings->format == NULL || settings->memory == NULL) {
    return "lines, settings, format and memory must not be NULL.";
  }
  if (settings->frame_width < 1 || settings->frame_height < 1) {
    return "frame_width and frame_height must be at least 1.";
  }
  if (settings->frame_width % settings->format->width_multiple != 0) {
    return "frame_width must be even for YUYV and UYVY.";
  }
  if (settings->line_buffers < 2 || settings->line_buffers > MICRONET_CAMERA_MOST_BUFFERS) {
    return "line_buffers must be 2 to MICRONET_CAMERA_MOST_BUFFERS.";
  }
  if (settings->input_channels != 1 && settings->input_channels != 3) {
    return "input_channels must be 1 or 3.";
  }
  if (settings->input_width < 1 || settings->input_width > MICRONET_IMAGE_RESIZER_MOST_SIZE ||
      settings->input_height < 1 || settings->input_height > MICRONET_IMAGE_RESIZER_MOST_SIZE) {
    return "input_width and input_height must be 1 to MICRONET_IMAGE_RESIZER_MOST_SIZE.";
  }
  const int32_t shrink = MICRONET_CAMERA_SHRINK(settings->frame_width, settings->frame_height,
                                                settings->input_width, settings->input_height);
  if (shrink > MICRONET_IMAGE_RESIZER_MOST_SHRINK) {
    return "The frame must have at most MICRONET_IMAGE_RESIZER_MOST_SHRINK times the input's size.";
  }
  const bool is_gray_for_colours = settings->format->channels < settings->input_channels;
  const int32_t channels = is_gray_for_colours ? 1 : settings->input_channels;
  const int32_t pixels_bytes = settings->input_channels * settings->input_width * shrink;
  uint8_t *memory = settings->memory;
  if (settings->memory_bytes < pixels_bytes ||
      !micronet_image_resizer_init(&lines->resizer, settings->input_width, settings->input_height,
                                   channels, shrink, memory,
                                   settings->memory_bytes - pixels_bytes)) {
    return "memory must have MICRONET_CAMERA_LINES_BYTES bytes, at a multiple of 4.";
  }
  if (!micronet_image_resizer_begin(&lines->resizer, settings->frame_width,
                                    settings->frame_height)) {
    return "frame_width and frame_height must be at most 65536.";
  }
  lines->pixels = memory + (settings->memory_bytes - pixels_bytes);
  lines->is_gray_for_colours = is_gray_for_colours;
  lines->format = settings->format;
  lines->line_buffers = (uint32_t)settings->line_buffers;
  lines->frames = 0;
  lines->overruns = 0;
  lines->short_frames = 0;
  lines->written = 0;
  lines->released = 0;
  lines->sequence = 0;
  lines->next_line = settings->frame_height;
  lines->next_row = NO_FRAME;
  lines->given_rows = 0;
  return NULL;
}

static void give_up(micronet_camera_lines *lines) {
  lines->overruns = lines->overruns + 1;
  lines->next_line = lines->resizer.frame_height;
}

MICRONET_SHARED void micronet_camera_lines_frame_start(micronet_camera_lines *lines) {
  if (lines->next_line > 0 && lines->next_line < lines->resizer.frame_height) {
    lines->short_frames = lines->short_frames + 1;
  }
  lines->next_line = 0;
}

MICRONET_SHARED void micronet_camera_lines_line_ready(micronet_camera_lines *lines,
                                                      const uint8_t *bytes) {
  const micronet_image_resizer *resizer = &lines->resizer;
  const uint32_t sequence = lines->sequence++;
  const uint32_t written = lines->written;
  const uint32_t released = lines->released;
  const bool is_in_frame = lines->next_line < resizer->frame_height;
  if (released != written) {
    const micronet_camera_line *oldest = &lines->lines[released % MICRONET_CAMERA_MOST_BUFFERS];
    if (sequence - oldest->sequence >= lines->line_buffers - 1) { /* the DMA is at its buffer now */
      if (is_in_frame || oldest->overruns == lines->overruns) give_up(lines);
      return;
    }
  }
  if (!is_in_frame) return;
  const int32_t row = lines->next_line++ - resizer->top;
  if (row < 0 || row >= resizer->part_height) return;
  micronet_camera_line *line = &lines->lines[written % MICRONET_CAMERA_MOST_BUFFERS];
  line->bytes = bytes;
  line->row = row;
  line->sequence = sequence;
  line->overruns = lines->overruns;
  barrier();
  lines->written = written + 1;
}

MICRONET_SHARED void micronet_camera_lines_restart(micronet_camera_lines *lines) {
  const bool is_in_frame = lines->next_line > 0 && lines->next_line < lines->resizer.frame_height;
  if (is_in_frame || lines->released != lines->written) give_up(lines);
  lines->next_line = lines->resizer.frame_height;
}

static void release(micronet_camera_lines *lines) {
  barrier();
  lines->released = lines->released + 1;
}

/* Reads a line. Returns whether it was there to the end. */
static bool take_line(micronet_camera_lines *lines, const micronet_camera_line *line) {
  const micronet_image_resizer *resizer = &lines->resizer;
  micronet_pixel_row *convert =
      resizer->channels == 1 ? lines->format->to_gray : lines->format->to_rgb888;
  convert(line->bytes, resizer->frame_width, resizer->left, resizer->part_width, lines->pixels);
  barrier();
  return line->overruns == lines->overruns;
}

/* Each value of a gray row three times, where pixels of a line were, which have been used.
 *
 * gray: may be these pixels themselves. */
static const uint8_t *in_colours(micronet_camera_lines *lines, const uint8_t *gray) {
  for (int32_t x = lines->resizer.output_width - 1; x >= 0; --x) {
    const uint8_t value = gray[x];
    lines->pixels[3 * x] = value;
    lines->pixels[3 * x + 1] = value;
    lines->pixels[3 * x + 2] = value;
  }
  return lines->pixels;
}

/* The next row of the frame that has begun, or NULL. */
static const uint8_t *next_row(micronet_camera_lines *lines) {
  if (lines->next_row < 1) return NULL;
  const uint8_t *row = micronet_image_resizer_next_row(&lines->resizer);
  if (row == NULL) return NULL;
  ++lines->given_rows;
  return lines->is_gray_for_colours ? in_colours(lines, row) : row;
}

static micronet_camera_part part_of_row(micronet_camera_lines *lines) {
  if (lines->given_rows < lines->resizer.output_height) return MICRONET_CAMERA_ROW;
  lines->next_row = NO_FRAME;
  ++lines->frames;
  return MICRONET_CAMERA_LAST_ROW;
}

MICRONET_SHARED micronet_camera_part micronet_camera_lines_take(micronet_camera_lines *lines,
                                                                const uint8_t **row) {
  micronet_image_resizer *resizer = &lines->resizer;
  for (;;) {
    *row = next_row(lines);
    if (*row != NULL) return part_of_row(lines);
    if (lines->released == lines->written) return MICRONET_CAMERA_NOTHING;
    barrier();
    const micronet_camera_line *line =
        &lines->lines[lines->released % MICRONET_CAMERA_MOST_BUFFERS];
    const bool is_valid = line->overruns == lines->overruns;
    if (is_valid && line->row == 0 && lines->next_row != 0) {
      micronet_image_resizer_begin(resizer, resizer->frame_width, resizer->frame_height);
      lines->next_row = 0;
      lines->given_rows = 0;
      return MICRONET_CAMERA_BEGIN;
    }
    const bool is_taken = is_valid && line->row == lines->next_row && take_line(lines, line);
    release(lines);
    if (is_taken) {
      micronet_image_resizer_push_part(resizer, lines->pixels);
      ++lines->next_row;
    } else {
      lines->next_row = NO_FRAME;
    }
  }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the example is compiled with instead of a camera: see simulated_sensor.c. */
#ifndef SIMULATED_FORMAT_H
#define SIMULATED_FORMAT_H

#include "micronet_pixel_formats.h"

extern const micronet_pixel_format simulated_format;

#define CAMERA_FORMAT simulated_format
#define CAMERA_BYTES_PER_PIXEL 4 /* the most that a format has */
#define CAMERA_WIDTH 34
#define CAMERA_HEIGHT 24
#define CAMERA_LINE_BUFFERS SIMULATED_LINE_BUFFERS

#endif

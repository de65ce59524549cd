/* SPDX-License-Identifier: Apache-2.0 */
/* dynamic_shift_max_s8 that writes its result over its input: half the memory of the maps, a few
 * instructions more.
 *
 * The parameters are those that micronet_dynamic_shift_max_s8_bind fills in, and the bytes of the
 * result are the same. */
#ifndef MICRONET_DYNAMIC_SHIFT_MAX_IN_PLACE_S8_H
#define MICRONET_DYNAMIC_SHIFT_MAX_IN_PLACE_S8_H

#include "dynamic_shift_max_s8.h"

/* As many pixels are in the buffer at a time, at most. */
enum { MICRONET_DYNAMIC_SHIFT_MAX_IN_PLACE_S8_PIXELS = 100 };

/* Bytes of the buffer that the kernel needs: 4 K C'; then 2 C' + 2 S', or C for each pixel that is
 * in the buffer at a time, whichever is more. */
int32_t micronet_dynamic_shift_max_in_place_s8_get_buffer_size(
    const micronet_dynamic_shift_max_s8_params *params);

/* Activates a map in its own place.
 *
 * map: int8 (pixels, C), any alignment, best at a multiple of 4: the input, then the output.
 * buffer: at a multiple of 4 bytes, no overlap with the map; nothing in it is kept between calls.
 * Returns MICRONET_OK or MICRONET_NULL_POINTER. */
micronet_status micronet_dynamic_shift_max_in_place_s8(
    const micronet_dynamic_shift_max_s8_params *params, int8_t *map, void *buffer);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures from a formula. */
#ifndef STRIPES_H
#define STRIPES_H

#include <stdint.h>

#if defined(__cplusplus)
extern "C" {
#endif

/* Writes row `y` of a picture: `width` pixels, raw RGB. */
void DrawStripes(int32_t picture, int32_t y, int32_t width, uint8_t *row);

#if defined(__cplusplus)
}
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* All pixel formats in the order of FORMATS in tflm/camera/pixel_rows.py, for programs of
 * measurements and tests. */
#ifndef ALL_PIXEL_FORMATS_H
#define ALL_PIXEL_FORMATS_H

#include "micronet_pixel_formats.h"

static const micronet_pixel_format *const formats[] = {
    &micronet_pixels_rgb565_high_byte_first,
    &micronet_pixels_rgb565_low_byte_first,
    &micronet_pixels_yuyv,
    &micronet_pixels_uyvy,
    &micronet_pixels_yuyv_limited,
    &micronet_pixels_uyvy_limited,
    &micronet_pixels_rgb888,
    &micronet_pixels_bgr888,
    &micronet_pixels_gray8,
    &micronet_pixels_bayer_rggb,
    &micronet_pixels_bayer_bggr,
    &micronet_pixels_bayer_grbg,
    &micronet_pixels_bayer_gbrg,
};

#endif

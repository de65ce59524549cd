/* SPDX-License-Identifier: Apache-2.0 */
/* factorized_stem_s8 for an image that comes row by row and is never in memory as a whole.
 *
 * The parameters are those that micronet_factorized_stem_s8_bind fills in, and the bytes of the
 * output are the same. One image:
 *
 *   micronet_factorized_stem_rows_s8_begin(&params, buffer);
 *   for (int32_t y = 0; y < params.height; ++y) {
 *     read_row_of_camera(row);
 *     micronet_factorized_stem_rows_s8_push(&params, row, output, buffer);
 *   }
 *   micronet_factorized_stem_rows_s8_finish(&params, buffer);
 */
#ifndef MICRONET_FACTORIZED_STEM_ROWS_S8_H
#define MICRONET_FACTORIZED_STEM_ROWS_S8_H

#include "factorized_stem_s8.h"

/* Bytes of the buffer, the same on all processors: 12; then 8 for each two columns of the padded
 * input; then vertical.taps - 1 rows of the input. */
int32_t micronet_factorized_stem_rows_s8_get_buffer_size(
    const micronet_factorized_stem_s8_params *params);

/* Prepares for the first row of an image. Rows of an unfinished image are forgotten.
 *
 * params: not to be changed or moved until the last row.
 * buffer: get_buffer_size bytes, at a multiple of 4; its content does not matter. Nothing else may
 *     write there until the last row.
 * Returns MICRONET_OK or MICRONET_NULL_POINTER. */
micronet_status micronet_factorized_stem_rows_s8_begin(
    const micronet_factorized_stem_s8_params *params, void *buffer);

/* Takes the next row of the input, and computes the rows of the output for which it was the last
 * one missing: none, one, or at the image's end several. params.height calls make the whole output.
 *
 * row: (width, channels) int8, any alignment, best at a multiple of 4; free to be overwritten after
 *     the call.
 * output: int8 (height, width, horizontal.channels) of the horizontal results, all of it, any
 *     alignment; only the rows that are computed are touched. They must not overlap row or buffer.
 * buffer: that of begin.
 * Returns MICRONET_OK, MICRONET_NULL_POINTER, or MICRONET_CALL_ORDER: begin has not prepared the
 * buffer for these params, or the image already has all of its rows. Then nothing is written. */
micronet_status micronet_factorized_stem_rows_s8_push(
    const micronet_factorized_stem_s8_params *params, const int8_t *row, int8_t *output,
    void *buffer);

/* Tells whether the output is complete, once for each image.
 *
 * buffer: that of begin; free for other uses after MICRONET_OK.
 * Returns MICRONET_OK, MICRONET_NULL_POINTER, or MICRONET_CALL_ORDER: rows are missing. Then
 * nothing is written. */
micronet_status micronet_factorized_stem_rows_s8_finish(
    const micronet_factorized_stem_s8_params *params, void *buffer);

#endif

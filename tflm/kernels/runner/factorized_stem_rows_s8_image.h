/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel for kernel_runner.c: a whole image through factorized_stem_rows_s8.
 *
 * On the host each row is in a block of its own while it is pushed, and nowhere else, so that a
 * sanitizer sees every access to another one. */
#ifndef FACTORIZED_STEM_ROWS_S8_IMAGE_H
#define FACTORIZED_STEM_ROWS_S8_IMAGE_H

#include <stdlib.h>
#include <string.h>

#include "factorized_stem_rows_s8.h"

typedef micronet_factorized_stem_s8_params micronet_factorized_stem_rows_s8_params;
#define micronet_factorized_stem_rows_s8_bind micronet_factorized_stem_s8_bind

static inline micronet_status factorized_stem_rows_push_block(
    const micronet_factorized_stem_s8_params *params, const int8_t *row, int8_t *output,
    void *buffer) {
#if defined(__arm__)
  return micronet_factorized_stem_rows_s8_push(params, row, output, buffer);
#else
  const size_t row_bytes = (size_t)(params->width * params->channels);
  int8_t *block = malloc(row_bytes);
  if (block == 0) abort();
  memcpy(block, row, row_bytes);
  const micronet_status status =
      micronet_factorized_stem_rows_s8_push(params, block, output, buffer);
  free(block);
  return status;
#endif
}

static inline micronet_status micronet_factorized_stem_rows_s8(
    const micronet_factorized_stem_s8_params *params, const int8_t *input, int8_t *output,
    void *buffer) {
  const int32_t row_bytes = params->width * params->channels;
  micronet_status status = micronet_factorized_stem_rows_s8_begin(params, buffer);
  for (int32_t y = 0; y < params->height && status == MICRONET_OK; ++y) {
    status = factorized_stem_rows_push_block(params, input + y * row_bytes, output, buffer);
  }
  return status;
}

#endif

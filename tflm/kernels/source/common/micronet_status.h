/* SPDX-License-Identifier: Apache-2.0 */
/* What a kernel or a model answers. */
#ifndef MICRONET_STATUS_H
#define MICRONET_STATUS_H

#include "micronet_shared.h"

typedef enum {
  MICRONET_OK = 0,
  MICRONET_OPTIONS_SIZE,       /* options have another length than their version's */
  MICRONET_OPTIONS_VERSION,    /* options of a version that these sources do not know */
  MICRONET_OPTIONS_VALUE,      /* an option is outside its range, or two contradict each other */
  MICRONET_CONSTANT_COUNT,     /* another number of constants than the operator has */
  MICRONET_CONSTANT_SIZE,      /* a constant has another length than the options say */
  MICRONET_CONSTANT_ALIGNMENT, /* a constant does not begin at a multiple of 4 bytes */
  MICRONET_CONSTANT_VALUE,     /* an element of a constant is outside its range */
  MICRONET_NULL_POINTER,       /* an argument that must not be NULL is */
  MICRONET_ARENA_ALIGNMENT,    /* a model's arena does not begin at a multiple of 16 bytes */
  MICRONET_ARENA_SIZE,         /* a model's arena is too small */
  MICRONET_CALL_ORDER,         /* a function was called before the one that begins, or too often */
  MICRONET_KERNELS_VERSION     /* a model and the program's kernels are of different versions */
} micronet_status;

/* A sentence in English about `status`; never NULL. */
const char *micronet_status_message(micronet_status status);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* dynamic_shift_max_in_place_s8 for kernel_runner.c. */
#ifndef DYNAMIC_SHIFT_MAX_IN_PLACE_S8_MAP_H
#define DYNAMIC_SHIFT_MAX_IN_PLACE_S8_MAP_H

#include "dynamic_shift_max_in_place_s8.h"

typedef micronet_dynamic_shift_max_s8_params micronet_dynamic_shift_max_in_place_s8_params;
#define micronet_dynamic_shift_max_in_place_s8_bind micronet_dynamic_shift_max_s8_bind

#define RUNNER_OVERLAP(params, memory, memory_bytes, buffer) \
  ((void)(memory_bytes), micronet_dynamic_shift_max_in_place_s8(params, memory, buffer))

#endif

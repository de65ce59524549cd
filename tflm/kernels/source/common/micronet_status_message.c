/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_status.h"

const char *micronet_status_message(micronet_status status) {
  switch (status) {
    case MICRONET_OK:
      return "no error";
    case MICRONET_OPTIONS_SIZE:
      return "the operator's options have the wrong length";
    case MICRONET_OPTIONS_VERSION:
      return "the operator's options are of a version that these kernels do not know";
    case MICRONET_OPTIONS_VALUE:
      return "an option of the operator is outside its range";
    case MICRONET_CONSTANT_COUNT:
      return "the operator has the wrong number of constants";
    case MICRONET_CONSTANT_SIZE:
      return "a constant of the operator has the wrong length";
    case MICRONET_CONSTANT_ALIGNMENT:
      return "a constant of the operator must begin at a multiple of 4 bytes";
    case MICRONET_CONSTANT_VALUE:
      return "an element of a constant of the operator is outside its range";
    case MICRONET_NULL_POINTER:
      return "an argument is NULL";
    case MICRONET_ARENA_ALIGNMENT:
      return "the arena must begin at a multiple of 16 bytes";
    case MICRONET_ARENA_SIZE:
      return "the arena is too small";
    case MICRONET_CALL_ORDER:
      return "a function was called before the one that begins the work, or after its end";
  }
  return "unknown status";
}

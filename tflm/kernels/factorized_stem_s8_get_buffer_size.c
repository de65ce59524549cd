#include "factorized_conv_internal.h"
#include "factorized_stem_s8.h"

int32_t micronet_factorized_stem_s8_get_buffer_size(
    const micronet_factorized_stem_s8_params *params) {
  return factorized_column_pairs(params) * 8;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Binds operands made of arbitrary bytes and, if they are accepted, runs the kernel: for a fuzzer
 * with libFuzzer's interface, or standalone_main.c, and sanitizers.
 *
 * The bytes: number of the operator (its place in `operators`), number of constants, length of the
 * options (two bytes), lengths of the constants (four bytes each, all numbers low byte first);
 * then the options and the constants. Where the bytes end early, the rest is zero. A length with
 * the highest bit set is that of a constant at an odd address. */
#include <sanitizer/asan_interface.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dense_s4.h"
#include "dense_s8.h"
#include "dynamic_shift_max_in_place_s8.h"
#include "dynamic_shift_max_s8.h"
#include "factorized_depthwise_conv_s8.h"
#include "factorized_stem_rows_s8.h"
#include "factorized_stem_s8.h"
#include "fuzz_operands.h"
#include "global_average_pool_s8.h"
#include "grouped_pointwise_conv_s8.h"
#include "residual_add_s8.h"

enum { MOST_CONSTANTS = 16, LARGEST_CONSTANT = 1 << 16, LARGEST_MAP = 1 << 14 };

/* Inputs, output and buffer of a kernel, each in a block of its own and exactly as large as it must
 * be, so that a sanitizer sees every access outside.
 *
 * The inputs are static: with -no-pie they have addresses of 32 bits, since some kernels of 32-bit
 * processors compute with an input's address as a number. */
enum { INPUT_MARGIN = 64, INPUT_BLOCK = LARGEST_MAP + 2 * INPUT_MARGIN };
static int8_t input_blocks[2][INPUT_BLOCK] __attribute__((aligned(8)));

typedef struct {
  int8_t *inputs[2];
  int8_t *output;
  void *buffer;
} kernel_memory;

/* A block of `size` bytes that are `fill`, or aborts. */
static void *new_block(size_t size, int fill) {
  void *block = malloc(size > 0 ? size : 1);
  if (block == 0) abort();
  memset(block, fill, size);
  return block;
}

/* The first `size` bytes behind the margin of a block; the rest of it cannot be accessed. */
static int8_t *open_block(int8_t *block, size_t block_size, int64_t size) {
  if (size > (int64_t)block_size - 2 * INPUT_MARGIN) abort();
  ASAN_POISON_MEMORY_REGION(block, block_size);
  ASAN_UNPOISON_MEMORY_REGION(block + INPUT_MARGIN, (size_t)size);
  return block + INPUT_MARGIN;
}

static int8_t *open_input(int8_t *block, int64_t size) {
  return open_block(block, INPUT_BLOCK, size);
}

static kernel_memory new_memory(int64_t input_bytes, int64_t output_bytes, int32_t buffer_bytes) {
  kernel_memory memory;
  memory.inputs[0] = open_input(input_blocks[0], input_bytes);
  memory.inputs[1] = open_input(input_blocks[1], input_bytes);
  for (int64_t i = 0; i < input_bytes; ++i) {
    memory.inputs[0][i] = (int8_t)(i * 37 % 256 - 128);
    memory.inputs[1][i] = INT8_MIN;
  }
  memory.output = new_block((size_t)output_bytes, 0);
  memory.buffer = new_block((size_t)buffer_bytes, 0x5A);
  return memory;
}

static uint64_t checksum = 14695981039346656037u;

uint64_t fuzz_checksum(void) { return checksum; }

/* Fowler, Noll and Vo's hash function. */
static void add_to_checksum(const int8_t *output, int64_t size) {
  for (int64_t i = 0; i < size; ++i) {
    checksum = (checksum ^ (uint8_t)output[i]) * 1099511628211u;
  }
}

static void delete_memory(kernel_memory *memory) {
  free(memory->output);
  free(memory->buffer);
}

/* Defines bind_and_run_<name>. The expressions are of `params`, `memory` and `buffer_bytes`. */
#define OPERATOR(name, input_bytes, output_bytes, run)                                  \
  static fuzz_result bind_and_run_##name(const micronet_operands *operands) {           \
    micronet_##name##_params params;                                                    \
    if (micronet_##name##_bind(operands, &params) != MICRONET_OK) return FUZZ_REFUSED;  \
    const int32_t buffer_bytes = micronet_##name##_get_buffer_size(&params);            \
    if (buffer_bytes < 0) abort();                                                      \
    if ((input_bytes) > LARGEST_MAP || (output_bytes) > LARGEST_MAP) return FUZZ_LARGE; \
    kernel_memory memory = new_memory(input_bytes, output_bytes, buffer_bytes);         \
    if ((run) != MICRONET_OK) abort();                                                  \
    add_to_checksum(memory.output, output_bytes);                                       \
    delete_memory(&memory);                                                             \
    return FUZZ_RUN;                                                                    \
  }

/* The stem in both of its forms, which must agree. Rows are in one place, each overwritten by the
 * next; they and the buffer are near to each other, as the kernel of 32-bit processors needs it. */
enum { ROWS_BUFFER_BLOCK = 1 << 17 };
static int8_t rows_buffer_block[ROWS_BUFFER_BLOCK] __attribute__((aligned(8)));

static micronet_status run_stem(const micronet_factorized_stem_s8_params *params,
                                const kernel_memory *memory, int64_t output_bytes) {
  const int32_t row_bytes = params->width * params->channels;
  const int32_t buffer_bytes = micronet_factorized_stem_rows_s8_get_buffer_size(params);
  int8_t *buffer = open_block(rows_buffer_block, ROWS_BUFFER_BLOCK, buffer_bytes);
  int8_t *row = open_input(input_blocks[1], row_bytes);
  int8_t *output = new_block((size_t)output_bytes, 0);
  micronet_status status =
      micronet_factorized_stem_s8(params, memory->inputs[0], memory->output, memory->buffer);
  if (micronet_factorized_stem_rows_s8_begin(params, buffer) != MICRONET_OK) abort();
  for (int32_t y = 0; y < params->height; ++y) {
    memcpy(row, memory->inputs[0] + y * row_bytes, (size_t)row_bytes);
    if (micronet_factorized_stem_rows_s8_push(params, row, output, buffer) != MICRONET_OK) abort();
  }
  if (micronet_factorized_stem_rows_s8_push(params, row, output, buffer) != MICRONET_CALL_ORDER ||
      memcmp(output, memory->output, (size_t)output_bytes) != 0) {
    abort();
  }
  free(output);
  return status;
}

/* Dynamic Shift-Max in both of its forms, which must agree. */
static micronet_status run_shift_max(const micronet_dynamic_shift_max_s8_params *params,
                                     const kernel_memory *memory) {
  const int32_t bytes = params->pixels * params->channels;
  void *buffer =
      new_block((size_t)micronet_dynamic_shift_max_in_place_s8_get_buffer_size(params), 0x5A);
  int8_t *map = open_input(input_blocks[1], bytes);
  const micronet_status status =
      micronet_dynamic_shift_max_s8(params, memory->inputs[0], memory->output, memory->buffer);
  memcpy(map, memory->inputs[0], (size_t)bytes);
  if (micronet_dynamic_shift_max_in_place_s8(params, map, buffer) != MICRONET_OK ||
      memcmp(map, memory->output, (size_t)bytes) != 0) {
    abort();
  }
  free(buffer);
  return status;
}

#define ONE_INPUT(name) micronet_##name(&params, memory.inputs[0], memory.output, memory.buffer)
#define PIXELS_OF(count) ((int64_t)params.pixels * (count))
#define FACTORIZED_INPUT ((int64_t)params.height * params.width * params.channels)
#define FACTORIZED_OUTPUT                                        \
  ((int64_t)((params.height - 1) / params.vertical.stride + 1) * \
   ((params.width - 1) / params.horizontal.stride + 1) * params.horizontal.channels)

OPERATOR(dense_s4, params.inputs, params.outputs, ONE_INPUT(dense_s4))
OPERATOR(dense_s8, params.inputs, params.outputs, ONE_INPUT(dense_s8))
OPERATOR(dynamic_shift_max_s8, PIXELS_OF(params.channels), PIXELS_OF(params.channels),
         run_shift_max(&params, &memory))
OPERATOR(factorized_depthwise_conv_s8, FACTORIZED_INPUT, FACTORIZED_OUTPUT,
         ONE_INPUT(factorized_depthwise_conv_s8))
OPERATOR(factorized_stem_s8, FACTORIZED_INPUT, FACTORIZED_OUTPUT,
         run_stem(&params, &memory, FACTORIZED_OUTPUT))
OPERATOR(global_average_pool_s8, PIXELS_OF(params.channels), params.channels,
         ONE_INPUT(global_average_pool_s8))
OPERATOR(grouped_pointwise_conv_s8, PIXELS_OF(params.groups *params.inputs),
         PIXELS_OF(params.groups *params.outputs), ONE_INPUT(grouped_pointwise_conv_s8))
OPERATOR(residual_add_s8, params.elements, params.elements,
         micronet_residual_add_s8(&params, memory.inputs[0], memory.inputs[1], memory.output))

static const struct {
  const char *name;
  fuzz_result (*bind_and_run)(const micronet_operands *operands);
} operators[] = {
    {"dense_s4", bind_and_run_dense_s4},
    {"dense_s8", bind_and_run_dense_s8},
    {"dynamic_shift_max_s8", bind_and_run_dynamic_shift_max_s8},
    {"factorized_depthwise_conv_s8", bind_and_run_factorized_depthwise_conv_s8},
    {"factorized_stem_s8", bind_and_run_factorized_stem_s8},
    {"global_average_pool_s8", bind_and_run_global_average_pool_s8},
    {"grouped_pointwise_conv_s8", bind_and_run_grouped_pointwise_conv_s8},
    {"residual_add_s8", bind_and_run_residual_add_s8},
};
enum { OPERATOR_COUNT = sizeof(operators) / sizeof(operators[0]) };

/* What is left of the fuzzer's bytes. */
typedef struct {
  const uint8_t *bytes;
  size_t size;
} source;

static uint32_t take_number(source *from, int bytes) {
  uint32_t value = 0;
  for (int i = 0; i < bytes && from->size > 0; ++i) {
    value |= (uint32_t)*from->bytes << 8 * i;
    ++from->bytes;
    --from->size;
  }
  return value;
}

/* A block of `offset + size` bytes; those after `offset` are the source's next ones. */
static uint8_t *take_block(source *from, size_t size, size_t offset) {
  uint8_t *block = new_block(offset + size, 0);
  const size_t available = size < from->size ? size : from->size;
  if (available > 0) memcpy(block + offset, from->bytes, available);
  from->bytes += available;
  from->size -= available;
  return block;
}

int fuzz_operator_count(void) { return OPERATOR_COUNT; }

const char *fuzz_operator_name(int index) { return operators[index].name; }

fuzz_result fuzz_operands(const uint8_t *data, size_t size) {
  source from = {data, size};
  micronet_constant constants[MOST_CONSTANTS];
  uint8_t *blocks[MOST_CONSTANTS];
  size_t offsets[MOST_CONSTANTS];
  const uint32_t index = take_number(&from, 1) % OPERATOR_COUNT;
  const int32_t count = (int32_t)(take_number(&from, 1) % (MOST_CONSTANTS + 1));
  const int32_t options_bytes = (int32_t)take_number(&from, 2);
  for (int32_t i = 0; i < count; ++i) {
    const uint32_t length = take_number(&from, 4);
    offsets[i] = length >> 31;
    constants[i].bytes = (int32_t)((length & 0x7FFFFFFFu) % LARGEST_CONSTANT);
  }
  uint8_t *options = take_block(&from, (size_t)options_bytes, 0);
  for (int32_t i = 0; i < count; ++i) {
    blocks[i] = take_block(&from, (size_t)constants[i].bytes, offsets[i]);
    constants[i].data = blocks[i] + offsets[i];
  }
  const micronet_operands operands = {options, options_bytes, constants, count};
  const fuzz_result result = operators[index].bind_and_run(&operands);
  for (int32_t i = 0; i < count; ++i) free(blocks[i]);
  free(options);
  return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_operands(data, size);
  return 0;
}

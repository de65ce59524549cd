/* SPDX-License-Identifier: Apache-2.0 */
/* Runs kernels on data from the host: for tests and measurements, not for devices.
 *
 * It is compiled for one operator: RUNNER_OPERATOR, its header RUNNER_HEADER, RUNNER_INPUTS (1, 2).
 * A header that defines RUNNER_OVERLAP(params, memory, memory_bytes, buffer) runs a kernel whose
 * input and output share memory: all of the one input, at whose beginning the output is afterwards.
 *
 * The input is a number of calls and then the calls, all numbers little-endian int32: inputs,
 * constants, bytes of the options and of the output, bytes of each input and of each constant; then
 * options, inputs and constants. The answer to each: status of bind or of the kernel, bytes of the
 * buffer, instructions of the kernel alone (two words, low first), and the output if the status
 * is 0. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include RUNNER_HEADER
#include "host.h"
#include "instruction_counter.h"

enum { MOST_INPUTS = 2, MOST_CONSTANTS = 16, GUARD_BYTES = 32, GUARD = 0x5A };

typedef struct {
  micronet_operands operands;
  int8_t *inputs[MOST_INPUTS];
  int32_t input_bytes[MOST_INPUTS];
  int8_t *output;
  int32_t output_bytes;
  int32_t buffer_bytes;
  uint64_t instructions;
} kernel_call;

#if defined(__arm__)
/* All memory of one call, given back at once. */
static uint8_t memory[12 << 20] __attribute__((section(".bulk"), aligned(16)));
static size_t memory_used;

static void *allocate(size_t size) {
  void *block = memory + memory_used;
  memory_used += (size + 15) / 16 * 16;
  if (memory_used > sizeof(memory)) {
    host_print("a call needs more memory than the runner has\n");
    host_exit(1);
  }
  return block;
}

static void release_all(void) { memory_used = 0; }
#else
/* Each block by itself and exactly as large as asked for, so that a sanitizer sees every access
 * outside it. */
enum { MOST_BLOCKS = 64 };
static void *blocks[MOST_BLOCKS];
static int block_count;

static void *allocate(size_t size) {
  if (block_count == MOST_BLOCKS) host_exit(1);
  void *block = malloc(size > 0 ? size : 1);
  blocks[block_count++] = block;
  return block;
}

static void release_all(void) {
  while (block_count > 0) free(blocks[--block_count]);
}
#endif

static int32_t read_int32(void) {
  int32_t value;
  host_read(&value, sizeof(value));
  return value;
}

static void *read_block(int32_t bytes) {
  void *block = allocate((size_t)bytes);
  host_read(block, (size_t)bytes);
  return block;
}

/* A block between two guards, which `check_guards` looks at. */
static void *allocate_guarded(int32_t bytes) {
  uint8_t *block = allocate((size_t)bytes + 2 * GUARD_BYTES);
  memset(block, GUARD, (size_t)bytes + 2 * GUARD_BYTES);
  return block + GUARD_BYTES;
}

static void check_guards(const void *guarded, int32_t bytes, const char *message) {
  const uint8_t *block = guarded;
  for (int32_t i = 0; i < GUARD_BYTES; ++i) {
    if (block[-1 - i] != GUARD || block[bytes + i] != GUARD) {
      host_print(message);
      host_exit(1);
    }
  }
}

static int8_t *read_input(int32_t bytes) {
#if defined(RUNNER_OVERLAP)
  int8_t *block = allocate_guarded(bytes);
  host_read(block, (size_t)bytes);
  return block;
#else
  return read_block(bytes);
#endif
}

#define JOIN_EXPANDED(a, b) a##b
#define JOIN(a, b) JOIN_EXPANDED(a, b)
#define KERNEL JOIN(micronet_, RUNNER_OPERATOR)
#define PARAMS JOIN(KERNEL, _params)
#define BIND JOIN(KERNEL, _bind)
#define GET_BUFFER_SIZE JOIN(KERNEL, _get_buffer_size)

typedef struct {
  kernel_call *call;
  PARAMS params;
  void *buffer;
  micronet_status status;
} kernel_work;

static void run_kernel(void *argument) {
  kernel_work *work = argument;
  kernel_call *call = work->call;
#if defined(RUNNER_OVERLAP)
  work->status = RUNNER_OVERLAP(&work->params, call->inputs[0], call->input_bytes[0], work->buffer);
#elif RUNNER_INPUTS == 2
  work->status = KERNEL(&work->params, call->inputs[0], call->inputs[1], call->output);
#else
  work->status = KERNEL(&work->params, call->inputs[0], call->output, work->buffer);
#endif
}

static micronet_status bind_and_run(kernel_call *call) {
  kernel_work work = {.call = call};
  const micronet_status status = BIND(&call->operands, &work.params);
  if (status != MICRONET_OK) return status;
  call->buffer_bytes = GET_BUFFER_SIZE(&work.params);
  work.buffer = allocate_guarded(call->buffer_bytes);
  call->instructions = instruction_counter_measure(run_kernel, &work);
  check_guards(work.buffer, call->buffer_bytes, "a kernel wrote outside its buffer\n");
  return work.status;
}

static void run_call(void) {
  kernel_call call = {0};
  micronet_constant constants[MOST_CONSTANTS];
  const int32_t input_count = read_int32();
  call.operands.constant_count = read_int32();
  call.operands.constants = constants;
  call.operands.options_bytes = read_int32();
  call.output_bytes = read_int32();
  if (input_count != RUNNER_INPUTS || call.operands.constant_count > MOST_CONSTANTS) {
    host_print("a call has the wrong number of inputs or too many constants\n");
    host_exit(1);
  }
  for (int32_t i = 0; i < input_count; ++i) call.input_bytes[i] = read_int32();
  for (int32_t i = 0; i < call.operands.constant_count; ++i) constants[i].bytes = read_int32();
  call.operands.options = read_block(call.operands.options_bytes);
  for (int32_t i = 0; i < input_count; ++i) {
    call.inputs[i] = read_input(call.input_bytes[i]);
  }
  for (int32_t i = 0; i < call.operands.constant_count; ++i) {
    constants[i].data = read_block(constants[i].bytes);
  }
#if defined(RUNNER_OVERLAP)
  if (call.output_bytes > call.input_bytes[0]) host_exit(1);
  call.output = call.inputs[0];
  const int32_t written_bytes = call.input_bytes[0];
#else
  call.output = allocate_guarded(call.output_bytes);
  const int32_t written_bytes = call.output_bytes;
#endif
  const int32_t status = (int32_t)bind_and_run(&call);
  check_guards(call.output, written_bytes, "a kernel wrote outside its output\n");
  host_write(&status, sizeof(status));
  host_write(&call.buffer_bytes, sizeof(call.buffer_bytes));
  host_write(&call.instructions, sizeof(call.instructions));
  if (status == MICRONET_OK) host_write(call.output, (size_t)call.output_bytes);
  release_all();
}

int main(void) {
  for (int32_t calls = read_int32(); calls > 0; --calls) run_call();
  return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin of QEMU that counts what a program executes, for an estimate of cycles.
 *
 * Arguments, each NAME=VALUE, addresses in hexadecimal:
 *   output    path of the file that the counts are written to, when QEMU ends.
 *   function  address of a function; counts what is executed from its entry to its return, in all
 *             calls. Without it, everything.
 *   parts     FIRST-END, repeated: code in which each block begins a part of the work, which lasts
 *             until the next such block. Counts are told apart by it.
 *   flash     FIRST-END: addresses whose reads the caches see.
 *   caches    INSTRUCTIONS/DATA, repeated: two caches, see flash_cache.h, whose reads of the flash
 *             are counted.
 *
 * Lines of the output, numbers in decimal, but for addresses:
 *   calls COUNT                    of the function
 *   block NUMBER ADDRESS LENGTH    so many instructions, executed one after another
 *   step PART FROM TO COUNT UNALIGNED INSTRUCTION_READS DATA_READS ...
 *       block TO was executed COUNT times after block FROM while PART was the latest block of the
 *       parts (0 for either: none); UNALIGNED of its loads and stores were not aligned; for each
 *       `caches`, the flash was read that often for instructions and for data. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flash_cache.h"
#include "qemu_plugin_interface.h"

#ifndef PLUGIN_VERSION
#define PLUGIN_VERSION 1
#endif
__attribute__((visibility("default"))) int qemu_plugin_version = PLUGIN_VERSION;

enum { MOST_CACHES = 8, MOST_RANGES = 16, MOST_INSTRUCTION_BYTES = 4, WORD_BYTES = 4 };

typedef struct {
  uint32_t first, end;
} Range;

typedef struct {
  uint32_t number, address, bytes, length;
  bool begins_part;
} Block;

typedef struct {
  uint32_t part, from, to; /* numbers of blocks; to is 0 if the place in the table is empty */
  uint64_t count, unaligned;
  uint64_t instruction_reads[MOST_CACHES], data_reads[MOST_CACHES];
} Step;

static const char *output_path;
static uint32_t function;
static Range parts[MOST_RANGES], flash;
static int part_ranges, caches;
static FlashCache instruction_cache[MOST_CACHES], data_cache[MOST_CACHES];

static Block **blocks; /* by number, from 1 on */
static uint32_t block_count, block_room;
static Step *steps; /* a hash table */
static uint32_t step_count, step_room;

static bool is_open;            /* whether what is executed is counted */
static uint32_t return_address; /* of the function */
static uint64_t calls;
static const Block *previous;
static uint32_t part;
static Step *current;

static void fail(const char *message, const char *value) {
  fprintf(stderr, "execution_counter: %s: %s\n", message, value);
  exit(1);
}

static void *checked(void *memory) {
  if (memory == NULL) fail("out of memory", "");
  return memory;
}

static bool is_in(Range range, uint32_t address) {
  return range.first <= address && address < range.end;
}

static Step *find_step(Step *table, uint32_t room, uint32_t key_part, uint32_t from, uint32_t to) {
  uint64_t hash = (uint64_t)key_part << 42 ^ (uint64_t)from << 21 ^ to;
  hash *= 0x9E3779B97F4A7C15u;
  uint32_t place = (uint32_t)(hash >> 32) & (room - 1);
  while (table[place].to != 0 &&
         (table[place].to != to || table[place].from != from || table[place].part != key_part)) {
    place = (place + 1) & (room - 1);
  }
  return &table[place];
}

static void grow_steps(void) {
  const uint32_t room = step_room == 0 ? 1u << 12 : 2 * step_room;
  Step *table = checked(calloc(room, sizeof(*table)));
  for (uint32_t i = 0; i < step_room; ++i) {
    const Step *step = &steps[i];
    if (step->to != 0) *find_step(table, room, step->part, step->from, step->to) = *step;
  }
  free(steps);
  steps = table;
  step_room = room;
}

static Step *step_of(uint32_t key_part, uint32_t from, uint32_t to) {
  if (2 * step_count >= step_room) grow_steps();
  Step *step = find_step(steps, step_room, key_part, from, to);
  if (step->to == 0) {
    step->part = key_part;
    step->from = from;
    step->to = to;
    ++step_count;
  }
  return step;
}

/* Opens and closes the count at the function's entries and returns. */
static void watch_function(const Block *block) {
  if (is_open && block->address == return_address) is_open = false;
  if (is_open || block->address != function || previous == NULL) return;
  is_open = true;
  return_address = previous->address + previous->bytes;
  ++calls;
  previous = NULL; /* the call is not the function's */
  part = 0;
}

static void on_execution(unsigned int processor, void *userdata) {
  (void)processor;
  const Block *block = userdata;
  if (function != 0) watch_function(block);
  if (!is_open) {
    previous = block;
    current = NULL;
    return;
  }
  if (block->begins_part) part = block->number;
  current = step_of(part, previous == NULL ? 0 : previous->number, block->number);
  ++current->count;
  if (is_in(flash, block->address)) {
    for (int i = 0; i < caches; ++i) {
      current->instruction_reads[i] +=
          flash_cache_read(&instruction_cache[i], block->address, block->bytes);
    }
  }
  previous = block;
}

static void on_access(unsigned int processor, qemu_plugin_meminfo_t info, uint64_t address64,
                      void *userdata) {
  (void)processor;
  (void)userdata;
  if (current == NULL) return;
  const uint32_t address = (uint32_t)address64;
  const uint32_t bytes = 1u << qemu_plugin_mem_size_shift(info);
  /* Some versions of QEMU tell of two words at once: they need the alignment of one. */
  const uint32_t alignment = bytes < WORD_BYTES ? bytes : WORD_BYTES;
  current->unaligned += (address & (alignment - 1)) != 0;
  if (qemu_plugin_mem_is_store(info) || !is_in(flash, address)) return;
  for (int i = 0; i < caches; ++i) {
    current->data_reads[i] += flash_cache_read(&data_cache[i], address, bytes);
  }
}

static Block *new_block(uint32_t address, uint32_t bytes, uint32_t length) {
  Block *block = checked(malloc(sizeof(*block)));
  if (++block_count >= block_room) {
    block_room = block_room == 0 ? 1u << 12 : 2 * block_room;
    blocks = checked(realloc(blocks, block_room * sizeof(*blocks)));
  }
  *block = (Block){block_count, address, bytes, length, false};
  for (int i = 0; i < part_ranges; ++i) block->begins_part |= is_in(parts[i], address);
  blocks[block_count] = block;
  return block;
}

/* QEMU looks at the instruction behind a block that ends with a page (of 1 KB), and counts what it
 * has read among the block's last one. Such a block ends with no call. */
static uint32_t size_of(const struct qemu_plugin_insn *instruction) {
  const size_t size = qemu_plugin_insn_size(instruction);
  return size < MOST_INSTRUCTION_BYTES ? (uint32_t)size : MOST_INSTRUCTION_BYTES;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *translated) {
  (void)id;
  uint32_t bytes = 0;
  const size_t instructions = qemu_plugin_tb_n_insns(translated);
  for (size_t i = 0; i < instructions; ++i) {
    struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(translated, i);
    bytes += size_of(instruction);
    qemu_plugin_register_vcpu_mem_cb(instruction, on_access, QEMU_PLUGIN_CB_NO_REGS,
                                     QEMU_PLUGIN_MEM_RW, NULL);
  }
  Block *block =
      new_block((uint32_t)qemu_plugin_tb_vaddr(translated), bytes, (uint32_t)instructions);
  qemu_plugin_register_vcpu_tb_exec_cb(translated, on_execution, QEMU_PLUGIN_CB_NO_REGS, block);
}

static void write_counts(qemu_plugin_id_t id, void *userdata) {
  (void)id;
  (void)userdata;
  FILE *file = fopen(output_path, "w");
  if (file == NULL) fail("output cannot be written", output_path);
  fprintf(file, "calls %" PRIu64 "\n", calls);
  for (uint32_t i = 1; i <= block_count; ++i) {
    fprintf(file, "block %" PRIu32 " %" PRIx32 " %" PRIu32 "\n", i, blocks[i]->address,
            blocks[i]->length);
  }
  for (uint32_t i = 0; i < step_room; ++i) {
    const Step *step = &steps[i];
    if (step->to == 0) continue;
    fprintf(file, "step %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu64 " %" PRIu64, step->part,
            step->from, step->to, step->count, step->unaligned);
    for (int cache = 0; cache < caches; ++cache) {
      fprintf(file, " %" PRIu64 " %" PRIu64, step->instruction_reads[cache],
              step->data_reads[cache]);
    }
    fputc('\n', file);
  }
  if (fclose(file) != 0) fail("output cannot be written", output_path);
}

static bool parse_range(const char *text, Range *range) {
  return sscanf(text, "%" SCNx32 "-%" SCNx32, &range->first, &range->end) == 2;
}

static bool parse_caches(const char *text) {
  if (caches == MOST_CACHES || !flash_cache_parse(&instruction_cache[caches], &text)) return false;
  if (*text++ != '/' || !flash_cache_parse(&data_cache[caches], &text)) return false;
  ++caches;
  return *text == '\0';
}

static bool parse(const char *name, const char *value) {
  if (strcmp(name, "output") == 0) {
    output_path = checked(strdup(value));
    return true;
  }
  if (strcmp(name, "function") == 0) return sscanf(value, "%" SCNx32, &function) == 1;
  if (strcmp(name, "flash") == 0) return parse_range(value, &flash);
  if (strcmp(name, "caches") == 0) return parse_caches(value);
  if (strcmp(name, "parts") != 0 || part_ranges == MOST_RANGES) return false;
  return parse_range(value, &parts[part_ranges++]);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id,
                                                               const qemu_info_t *info,
                                                               int argument_count,
                                                               char **arguments) {
  (void)info;
  for (int i = 0; i < argument_count; ++i) {
    char name[16];
    const char *value = strchr(arguments[i], '=');
    const size_t length = value == NULL ? sizeof(name) : (size_t)(value - arguments[i]);
    if (length >= sizeof(name)) fail("not an argument", arguments[i]);
    memcpy(name, arguments[i], length);
    name[length] = '\0';
    if (!parse(name, value + 1)) fail("not an argument", arguments[i]);
  }
  if (output_path == NULL) fail("an argument is missing", "output");
  is_open = function == 0;
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_atexit_cb(id, write_counts, NULL);
  return 0;
}

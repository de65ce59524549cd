/* SPDX-License-Identifier: Apache-2.0 */
/* Runs fuzz_operands on files and on mutations of them, for compilers without libFuzzer.
 *
 * Usage: fuzz_operands MUTATIONS FILE...
 * Each file is run as it is and then changed in MUTATIONS ways, the same ones every time. Prints
 * for each operator how often its operands were refused, were accepted but too large, and were run;
 * then a checksum of all outputs. */
#include <sanitizer/common_interface_defs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_operands.h"

enum { LARGEST_FILE = 1 << 20, HEADER_BYTES = 4 };

static const char *current_file = "";
static long current_mutation;

static void say_where(void) {
  fprintf(stderr, "in %s, mutation %ld\n", current_file, current_mutation);
}

/* Marsaglia's xorshift. */
static uint32_t random_state;

static uint32_t random_below(uint32_t limit) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 17;
  random_state ^= random_state << 5;
  return random_state % limit;
}

static const int32_t kNotableNumbers[] = {0,   1,   2,    3,    4,     -1,        -128,     -129,
                                          127, 128, 4096, 4097, 32768, INT32_MAX, INT32_MIN};

static void change_byte(uint8_t *data, size_t begin, size_t end) {
  if (begin < end) data[begin + random_below((uint32_t)(end - begin))] = (uint8_t)random_below(256);
}

/* Replaces a number in [begin, end) by a notable one, or by one near to it. */
static void change_number(uint8_t *data, size_t begin, size_t end) {
  if (end < begin + 4) return;
  uint8_t *place = data + begin + 4 * random_below((uint32_t)(end - begin) / 4);
  uint32_t value = (uint32_t)place[0] | (uint32_t)place[1] << 8 | (uint32_t)place[2] << 16 |
                   (uint32_t)place[3] << 24;
  const uint32_t count = sizeof(kNotableNumbers) / sizeof(kNotableNumbers[0]);
  if (random_below(2) == 0) {
    value = (uint32_t)kNotableNumbers[random_below(count)];
  } else {
    value += random_below(17) - 8;
  }
  for (int i = 0; i < 4; ++i) place[i] = (uint8_t)(value >> 8 * i);
}

/* Changes a valid input in one to three places; returns its new size. Options are changed most
 * often: they decide which memory a kernel uses. */
static size_t mutate(uint8_t *data, size_t size) {
  if (size < HEADER_BYTES) return size;
  const size_t options_begin = HEADER_BYTES + 4 * (size_t)data[1];
  const size_t options_end = options_begin + data[2] + 256 * (size_t)data[3];
  if (options_end > size) return size;
  for (uint32_t changes = 1 + random_below(3); changes > 0; --changes) {
    switch (random_below(8)) {
      case 0:
        change_byte(data, options_end, size);
        break;
      case 1:
        change_number(data, options_end, size);
        break;
      case 2:
        change_number(data, HEADER_BYTES, options_begin);
        break;
      case 3:
        change_byte(data, 0, options_end);
        break;
      default:
        change_number(data, options_begin + 4, options_end);
    }
  }
  return random_below(64) == 0 ? random_below((uint32_t)size) : size;
}

static size_t read_file(const char *path, uint8_t *data) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    fprintf(stderr, "cannot open %s\n", path);
    exit(2);
  }
  const size_t size = fread(data, 1, LARGEST_FILE, file);
  fclose(file);
  return size;
}

int main(int argument_count, char **arguments) {
  static uint8_t original[LARGEST_FILE], data[LARGEST_FILE];
  static long counts[256][FUZZ_RESULT_COUNT];
  if (argument_count < 2) {
    fprintf(stderr, "usage: %s MUTATIONS FILE...\n", arguments[0]);
    return 2;
  }
  __sanitizer_set_death_callback(say_where);
  const long mutations = atol(arguments[1]);
  for (int i = 2; i < argument_count; ++i) {
    current_file = arguments[i];
    const size_t original_size = read_file(current_file, original);
    for (current_mutation = 0; current_mutation <= mutations; ++current_mutation) {
      size_t size = original_size;
      memcpy(data, original, size);
      random_state = 2654435769u * (uint32_t)(current_mutation + 1) | 1u;
      if (current_mutation > 0) size = mutate(data, size);
      const int operator = size > 0 ? data[0] % fuzz_operator_count() : 0;
      ++counts[operator][fuzz_operands(data, size)];
    }
  }
  for (int i = 0; i < fuzz_operator_count(); ++i) {
    printf("%s %ld %ld %ld\n", fuzz_operator_name(i), counts[i][FUZZ_REFUSED],
           counts[i][FUZZ_LARGE], counts[i][FUZZ_RUN]);
  }
  printf("checksum %llu\n", (unsigned long long)fuzz_checksum());
  return 0;
}

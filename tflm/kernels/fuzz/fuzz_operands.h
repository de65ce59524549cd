/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels with operands made of arbitrary bytes. */
#ifndef FUZZ_OPERANDS_H
#define FUZZ_OPERANDS_H

#include <stddef.h>
#include <stdint.h>

typedef enum {
  FUZZ_REFUSED, /* by bind */
  FUZZ_LARGE,   /* accepted, but not run: its maps are large */
  FUZZ_RUN,
  FUZZ_RESULT_COUNT
} fuzz_result;

/* Operators by number, in alphabetical order. */
int fuzz_operator_count(void);
const char *fuzz_operator_name(int index);

/* Takes `data` apart as fuzz_operands.c says. Aborts on a wrong answer of the kernels. */
fuzz_result fuzz_operands(const uint8_t *data, size_t size);

/* A number made of all outputs so far: equal outputs give equal numbers. */
uint64_t fuzz_checksum(void);

/* libFuzzer's entry. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif

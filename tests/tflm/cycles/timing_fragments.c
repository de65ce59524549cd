/* SPDX-License-Identifier: Apache-2.0 */
/* Calls each fragment of timing_fragments.S. Output: instructions of all calls, uint64. */
#include "host.h"
#include "instruction_counter.h"

/* clang-format off */
#define FRAGMENTS(DO)                                                                            \
  DO(data_processing) DO(load) DO(loads_in_a_row) DO(load_from_loaded_address)                   \
  DO(load_between_others) DO(pairs) DO(multiple) DO(stores) DO(register_offset_store)            \
  DO(register_offset_store_behind_load) DO(load_behind_store) DO(computed_address)               \
  DO(compared_address) DO(misplaced_load) DO(well_placed_load) DO(unaligned_access)              \
  DO(taken_branch) DO(branch_not_taken) DO(loop) DO(misplaced_target) DO(call)                   \
  DO(indirect_branch) DO(popped_branch) DO(table_branch) DO(conditional) DO(division)            \
  DO(floating_point) DO(across_pages)
/* clang-format on */

#define DECLARE(name) void fragment_##name(void *word);
FRAGMENTS(DECLARE)

static struct {
  void *itself;
  uint32_t others[7];
} words;

__attribute__((noinline)) void call_fragments(void *unused) {
  (void)unused;
  /* volatile, so that each call goes by a register */
#define CALL(name)                                       \
  do {                                                   \
    void (*volatile fragment)(void *) = fragment_##name; \
    words.itself = &words;                               \
    fragment(&words);                                    \
  } while (0);
  FRAGMENTS(CALL)
}

int main(void) {
  const uint64_t instructions = instruction_counter_measure(call_fragments, 0);
  host_write(&instructions, sizeof(instructions));
  return 0;
}

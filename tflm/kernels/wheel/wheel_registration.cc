// SPDX-License-Identifier: Apache-2.0
#include "wheel_registration.h"

#include "tensorflow/lite/micro/micro_log.h"

using tflite::micro::TFLMRegistration;

namespace {

// Whether the table's own look-up finds its entry `index` where it is expected.
bool IsFound(const OperatorTable *table, unsigned int index) {
  const TFLMRegistration *entry = &table->registrations[index];
  if (entry->builtin_code == kCustomOperator) return FindCustom(table, entry->custom_name) == entry;
  return FindBuiltin(table, entry->builtin_code) == entry;
}

// Of builtin operators only: their entries hold no pointers that a look at another layout follows.
bool HasExpectedLayout(const OperatorTable *table) {
  return table->count >= 2 && table->count < OperatorTable::kCapacity &&
         table->registrations[0].builtin_code != kCustomOperator &&
         table->registrations[1].builtin_code != kCustomOperator && IsFound(table, 0) &&
         IsFound(table, 1);
}

}  // namespace

bool AddOperator(OperatorTable *table, const char *name, const TFLMRegistration *registration) {
  if (!HasExpectedLayout(table)) {
    MicroPrintf(
        "%s: the table of operators must be laid out as in known releases of tflite-micro, "
        "with a free place. Received: another layout, or %u operators",
        name, table->count);
    return false;
  }
  if (FindCustom(table, name) != nullptr) {
    MicroPrintf("%s must be registered once. Received: a second time", name);
    return false;
  }
  const unsigned int place = table->count;
  table->registrations[place] = *registration;
  table->registrations[place].builtin_code = kCustomOperator;
  table->registrations[place].custom_name = name;
  table->count = place + 1;
  if (IsFound(table, place)) return true;
  table->count = place;
  MicroPrintf("%s: the table of operators must find what was added. Received: nothing", name);
  return false;
}

// SPDX-License-Identifier: Apache-2.0
#include "words.h"

#include <cstring>

namespace micronet {

const char *Words::Next() {
  while (*rest_ == ' ') ++rest_;
  if (*rest_ == '\0') return nullptr;
  const char *word = rest_;
  while (*rest_ != ' ' && *rest_ != '\0') ++rest_;
  if (*rest_ == ' ') *rest_++ = '\0';
  return word;
}

bool IsWord(const char *word, const char *expected) { return std::strcmp(word, expected) == 0; }

bool ParseNumber(const char *word, int32_t most, int32_t *number) {
  int64_t value = 0;
  if (*word == '\0') return false;
  for (; *word != '\0'; ++word) {
    if (*word < '0' || *word > '9') return false;
    value = 10 * value + (*word - '0');
    if (value > most) return false;
  }
  *number = static_cast<int32_t>(value);
  return true;
}

int32_t HexadecimalDigit(char character) {
  if (character >= '0' && character <= '9') return character - '0';
  if (character >= 'a' && character <= 'f') return character - 'a' + 10;
  if (character >= 'A' && character <= 'F') return character - 'A' + 10;
  return -1;
}

}  // namespace micronet

// SPDX-License-Identifier: Apache-2.0
// A command's words, and the numbers that some of them are.
#ifndef MICRONET_WORDS_H
#define MICRONET_WORDS_H

#include <stdint.h>

namespace micronet {

// The words of a text, which spaces separate.
class Words {
 public:
  // text: ends with a zero; it is written to, and must be there as long as the words.
  explicit Words(char *text) : rest_(text) {}

  // The next word, or null behind the last one.
  const char *Next();

 private:
  char *rest_;
};

bool IsWord(const char *word, const char *expected);

// Reads a decimal number, digits alone. Returns whether the word is one and at most `most`, and
// only then writes it.
bool ParseNumber(const char *word, int32_t most, int32_t *number);

// The value of a hexadecimal digit, or -1.
int32_t HexadecimalDigit(char character);

}  // namespace micronet

#endif  // MICRONET_WORDS_H

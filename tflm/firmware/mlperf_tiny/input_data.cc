// SPDX-License-Identifier: Apache-2.0
#include "input_data.h"

#include <cstring>

#include "benchmark_responder.h"
#include "model_settings.h"
#include "text_output.h"

namespace micronet {
namespace {

constexpr int32_t kShownByDefault = 16;
constexpr int32_t kShownInALine = 8;

uint8_t bytes[kInputSize];
int32_t expected_bytes = 0;  // that were announced
int32_t received_bytes = 0;

void Load(Words *words) {
  const char *word = words->Next();
  int32_t count = 0;
  if (word == nullptr || !ParseNumber(word, kInputSize, &count) || count == 0 ||
      words->Next() != nullptr) {
    RefuseNumbers("db load must be followed by a number of bytes from 1 to #", {kInputSize});
    return;
  }
  expected_bytes = count;
  received_bytes = 0;
  WriteLine("m-[Expecting # bytes]", {count});
}

void Append(const char *digits) {
  const int32_t length = static_cast<int32_t>(std::strlen(digits));
  for (int32_t i = 0; i < length; ++i) {
    if (HexadecimalDigit(digits[i]) >= 0) continue;
    Refuse("db must be followed by load, print, or hexadecimal digits.", digits);
    return;
  }
  const int32_t count = length / 2;
  const int32_t missing_bytes = expected_bytes - received_bytes;
  if (length % 2 != 0) {
    RefuseNumbers("a byte must have two digits. Received: # digits", {length});
  } else if (expected_bytes == 0) {
    RefuseNumbers("bytes must be announced: db load #", {kInputSize});
  } else if (count > missing_bytes) {
    RefuseNumbers("there must be at most # more bytes, of #. Received: #",
                  {missing_bytes, expected_bytes, count});
  } else {
    for (int32_t i = 0; i < count; ++i) {
      const int32_t high = HexadecimalDigit(digits[2 * i]);
      bytes[received_bytes++] =
          static_cast<uint8_t>(high << 4 | HexadecimalDigit(digits[2 * i + 1]));
    }
    if (received_bytes == expected_bytes) WriteLine("m-load-done");
  }
}

void WriteByte(uint8_t byte) {
  constexpr char kDigits[] = "0123456789abcdef";
  const char digits[] = {kDigits[byte >> 4], kDigits[byte & 15], '\0'};
  WriteText(digits);
}

void Print(Words *words) {
  const char *count_word = words->Next();
  const char *first_word = count_word == nullptr ? nullptr : words->Next();
  int32_t count = kShownByDefault < received_bytes ? kShownByDefault : received_bytes;
  int32_t first = 0;
  if ((count_word != nullptr && !ParseNumber(count_word, received_bytes, &count)) ||
      (first_word != nullptr && !ParseNumber(first_word, received_bytes, &first)) ||
      count > received_bytes - first || words->Next() != nullptr) {
    RefuseNumbers("db print must be followed by how many bytes, and the first, of # that are there",
                  {received_bytes});
    return;
  }
  for (int32_t i = 0; i < count; ++i) {
    WriteText(i % kShownInALine == 0 ? "m-buffer-" : "-");
    WriteByte(bytes[first + i]);
    if (i % kShownInALine == kShownInALine - 1 || i == count - 1) EndBenchmarkLine();
  }
}

}  // namespace

void RunDataCommand(Words *words) {
  const char *word = words->Next();
  if (word == nullptr) {
    Refuse("db must be followed by load, print, or hexadecimal digits.", "nothing");
  } else if (IsWord(word, "load")) {
    Load(words);
  } else if (IsWord(word, "print")) {
    Print(words);
  } else if (const char *more = words->Next()) {
    Refuse("all digits must be one word.", more);
  } else {
    Append(word);
  }
}

const uint8_t *WholeImage() {
  if (received_bytes == kInputSize) return bytes;
  RefuseNumbers("there must be an image of # bytes: db load #, then db and digits. Received: #",
                {kInputSize, kInputSize, received_bytes});
  return nullptr;
}

}  // namespace micronet

// SPDX-License-Identifier: Apache-2.0
#include "text_output.h"

#include "platform.h"

namespace micronet {
namespace {

constexpr char kDigits[] = "0123456789abcdef";

void WriteCharacter(char character) { PlatformWriteCharacter(static_cast<uint8_t>(character)); }

// With leading zeros up to `least_digits`.
void WriteUnsigned(uint64_t number, int least_digits) {
  char digits[20];
  int count = 0;
  do {
    digits[count++] = kDigits[number % 10];
    number /= 10;
  } while (number > 0 || count < least_digits);
  while (count > 0) WriteCharacter(digits[--count]);
}

}  // namespace

void WriteText(const char *text) {
  for (; *text != '\0'; ++text) WriteCharacter(*text);
}

void WriteNumber(int64_t number) {
  const uint64_t bits = static_cast<uint64_t>(number);
  if (number < 0) WriteCharacter('-');
  WriteUnsigned(number < 0 ? 0 - bits : bits, 1);
}

void WriteHexadecimal(uint32_t number) {
  for (int shift = 28; shift >= 0; shift -= 4) WriteCharacter(kDigits[number >> shift & 15]);
}

void WriteReal(double number) {
  const double size = number < 0 ? -number : number;
  const uint64_t thousandths = static_cast<uint64_t>(size * 1000.0 + 0.5);
  if (number < 0 && thousandths > 0) WriteCharacter('-');
  WriteUnsigned(thousandths / 1000, 1);
  WriteCharacter('.');
  WriteUnsigned(thousandths % 1000, 3);
}

void WritePercentEncoded(const char *text) {
  for (; *text != '\0'; ++text) {
    if (*text > ' ' && *text <= '~' && *text != '%') {
      WriteCharacter(*text);
    } else {
      const uint8_t byte = static_cast<uint8_t>(*text);
      WriteCharacter('%');
      WriteCharacter(kDigits[byte >> 4]);
      WriteCharacter(kDigits[byte & 15]);
    }
  }
}

void WriteTextWithNumbers(const char *text, std::initializer_list<int64_t> numbers) {
  const int64_t *number = numbers.begin();
  for (; *text != '\0'; ++text) {
    if (*text == '#' && number != numbers.end()) {
      WriteNumber(*number++);
    } else {
      WriteCharacter(*text);
    }
  }
}

void EndLine() { WriteCharacter('\n'); }

}  // namespace micronet

// SPDX-License-Identifier: Apache-2.0
#include "text_output.h"

#include "crc32.h"
#include "platform.h"

namespace micronet {
namespace {

constexpr char kDigits[] = "0123456789abcdef";

uint32_t line_checksum = 0;  // of what has been written of the line

void WriteCharacter(char character) {
  const uint8_t byte = static_cast<uint8_t>(character);
  line_checksum = Crc32(&byte, 1, line_checksum);
  PlatformWriteCharacter(byte);
}

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
      WriteCharacter('%');
      WriteHexadecimalByte(static_cast<uint8_t>(*text));
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

void WriteHexadecimalByte(uint8_t number) {
  WriteCharacter(kDigits[number >> 4]);
  WriteCharacter(kDigits[number & 15]);
}

void WriteLineChecksum() {
  const uint32_t checksum = line_checksum;
  WriteText(" crc=");
  WriteHexadecimal(checksum);
}

void EndLine() {
  WriteCharacter('\n');
  line_checksum = 0;
}

}  // namespace micronet

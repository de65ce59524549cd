// SPDX-License-Identifier: Apache-2.0
// Text on the serial line.
#ifndef MICRONET_TEXT_OUTPUT_H
#define MICRONET_TEXT_OUTPUT_H

#include <stdint.h>

#include <initializer_list>

namespace micronet {

void WriteText(const char *text);

// In decimal.
void WriteNumber(int64_t number);

// In hexadecimal: eight digits.
void WriteHexadecimal(uint32_t number);

// In hexadecimal: two digits.
void WriteHexadecimalByte(uint8_t number);

// With three decimals, rounded. `number` must be within 1e15.
void WriteReal(double number);

// As in addresses of web pages: all but visible ASCII, and "%" itself, as "%" and two hexadecimal
// digits.
void WritePercentEncoded(const char *text);

// Writes `numbers` in the places of the characters "#" of `text`, one after the other.
void WriteTextWithNumbers(const char *text, std::initializer_list<int64_t> numbers);

// Writes " crc=" and the CRC-32 of the line's bytes before, in hexadecimal.
void WriteLineChecksum();

void EndLine();

}  // namespace micronet

#endif  // MICRONET_TEXT_OUTPUT_H

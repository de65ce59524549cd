// SPDX-License-Identifier: Apache-2.0
#include "crc32.h"

namespace micronet {
namespace {

constexpr uint32_t kPolynomial = 0xEDB88320u;  // the lowest bit stands for the highest power

// Four bits at a time: 64 bytes of table, where the usual eight bits take 1024.
struct Table {
  uint32_t remainders[16];
};

constexpr Table MakeTable() {
  Table table = {};
  for (uint32_t value = 0; value < 16; ++value) {
    uint32_t remainder = value;
    for (int bit = 0; bit < 4; ++bit) {
      remainder = remainder >> 1 ^ (remainder & 1 ? kPolynomial : 0);
    }
    table.remainders[value] = remainder;
  }
  return table;
}

constexpr Table kTable = MakeTable();

}  // namespace

uint32_t Crc32(const uint8_t *bytes, int32_t size, uint32_t before) {
  uint32_t remainder = ~before;
  for (int32_t i = 0; i < size; ++i) {
    remainder ^= bytes[i];
    remainder = remainder >> 4 ^ kTable.remainders[remainder & 15];
    remainder = remainder >> 4 ^ kTable.remainders[remainder & 15];
  }
  return ~remainder;
}

}  // namespace micronet

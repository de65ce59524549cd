// SPDX-License-Identifier: Apache-2.0
// CRC-32, as zlib computes it.
#ifndef MICRONET_CRC32_H
#define MICRONET_CRC32_H

#include <stdint.h>

namespace micronet {

// Of `size` bytes.
//
// before: the CRC-32 of the bytes before these.
uint32_t Crc32(const uint8_t *bytes, int32_t size, uint32_t before = 0);

}  // namespace micronet

#endif  // MICRONET_CRC32_H

// SPDX-License-Identifier: Apache-2.0
// Packets of a serial line: a kind, a body and a CRC-32 over both (little-endian), framed by SLIP
// (RFC 1055).
#ifndef MICRONET_SERIAL_PACKETS_H
#define MICRONET_SERIAL_PACKETS_H

#include <stdint.h>

namespace micronet {

enum class PacketEvent {
  kNothing,   // a packet has not ended, or it was empty
  kPacket,    // a packet has ended
  kNoise,     // bytes have come that are no packet, whatever their checksum
  kChecksum,  // a packet has ended and its checksum is wrong
  kTooLong,   // a packet needs more memory than there is
};

struct Packet {
  uint8_t kind;
  const uint8_t *body;
  int32_t body_size;
};

// Puts packets together. What is broken is told once; what follows of it, up to the end of the
// packet, is passed over. So is what comes before the first end of a packet.
class PacketReceiver {
 public:
  // Bytes of a packet besides its body.
  static constexpr int32_t kOverhead = 5;

  // memory: `size` bytes, which must be there as long as the receiver. The largest packet has a
  //     body of size - kOverhead bytes.
  constexpr PacketReceiver(uint8_t *memory, int32_t size) : memory_(memory), size_(size) {}

  // Takes the next byte of the line.
  PacketEvent Take(uint8_t byte);

  // After kPacket, until the next byte is taken.
  Packet packet() const { return {memory_[0], memory_ + 1, length_ - kOverhead}; }

 private:
  PacketEvent Append(uint8_t byte);
  PacketEvent Finish();

  enum class State : uint8_t { kInPacket, kAfterEscape, kSkipping, kFinished };

  uint8_t *memory_;
  int32_t size_;
  int32_t length_ = 0;
  State state_ = State::kSkipping;
};

}  // namespace micronet

#endif  // MICRONET_SERIAL_PACKETS_H

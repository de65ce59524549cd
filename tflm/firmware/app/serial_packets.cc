// SPDX-License-Identifier: Apache-2.0
#include "serial_packets.h"

#include "crc32.h"

namespace micronet {
namespace {

constexpr uint8_t kEnd = 0xC0;
constexpr uint8_t kEscape = 0xDB;
constexpr uint8_t kEscapedEnd = 0xDC;
constexpr uint8_t kEscapedEscape = 0xDD;
constexpr int32_t kChecksumBytes = 4;

uint32_t LittleEndian(const uint8_t *bytes) {
  return static_cast<uint32_t>(bytes[0]) | static_cast<uint32_t>(bytes[1]) << 8 |
         static_cast<uint32_t>(bytes[2]) << 16 | static_cast<uint32_t>(bytes[3]) << 24;
}

}  // namespace

PacketEvent PacketReceiver::Take(uint8_t byte) {
  if (state_ == State::kFinished) {
    state_ = State::kInPacket;
    length_ = 0;
  }
  switch (state_) {
    case State::kSkipping:
      if (byte == kEnd) state_ = State::kFinished;
      return PacketEvent::kNothing;
    case State::kAfterEscape:
      state_ = State::kInPacket;
      if (byte == kEscapedEnd) return Append(kEnd);
      if (byte == kEscapedEscape) return Append(kEscape);
      state_ = byte == kEnd ? State::kFinished : State::kSkipping;
      return PacketEvent::kNoise;
    default:
      if (byte == kEnd) return Finish();
      if (byte != kEscape) return Append(byte);
      state_ = State::kAfterEscape;
      return PacketEvent::kNothing;
  }
}

PacketEvent PacketReceiver::Append(uint8_t byte) {
  if (length_ == size_) {
    state_ = State::kSkipping;
    return PacketEvent::kTooLong;
  }
  memory_[length_++] = byte;
  return PacketEvent::kNothing;
}

PacketEvent PacketReceiver::Finish() {
  state_ = State::kFinished;
  if (length_ == 0) return PacketEvent::kNothing;
  if (length_ < kOverhead) return PacketEvent::kNoise;
  const int32_t content_size = length_ - kChecksumBytes;
  const bool is_right = Crc32(memory_, content_size) == LittleEndian(memory_ + content_size);
  return is_right ? PacketEvent::kPacket : PacketEvent::kChecksum;
}

}  // namespace micronet

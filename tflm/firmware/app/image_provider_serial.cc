// SPDX-License-Identifier: Apache-2.0
// Frames that somebody sends over the serial line.
//
// Packets are those of serial_packets.h. Numbers of 16 bits are little-endian.
//   'I'  nothing                                      answered with info
//   'B'  version (1 byte), width, height (2 each)     answered with ok begin
//   'R'  index (2 bytes), a row of raw pixels         answered with ok row, the last with result
// A packet that cannot be taken is answered with an error and changes nothing. The row that came
// last may be sent again. Pixels are RGB or, if the model's input is, gray.
#include "application_settings.h"
#include "image_provider.h"
#include "platform.h"
#include "serial_packets.h"

namespace micronet {
namespace {

constexpr uint8_t kVersion = 1;
constexpr int32_t kBeginBytes = 5;
constexpr int32_t kIndexBytes = 2;
constexpr FramePart kNoPart = {FramePart::Kind::kNothing, 0, 0, nullptr};
static_assert(kLargestFrameWidth <= UINT16_MAX && kLargestFrameHeight <= UINT16_MAX,
              "Sizes of frames must fit into 16 bits: LARGEST_SHRINK must be smaller.");

uint8_t packet_memory[PacketReceiver::kOverhead + kIndexBytes + kChannels * kLargestFrameWidth];
PacketReceiver receiver(packet_memory, sizeof(packet_memory));

// The frame that is being sent.
struct Frame {
  bool is_there;
  int32_t width;
  int32_t height;
  int32_t rows;  // that have come
};
Frame frame;

int32_t Number(const uint8_t *bytes) { return bytes[0] | bytes[1] << 8; }

bool HasSize(const Packet &packet, int32_t size) {
  if (packet.body_size == size) return true;
  RespondError("length", "the packet's body must have # bytes, received #",
               {size, packet.body_size});
  return false;
}

FramePart AnswerInformation(const Packet &packet) {
  if (HasSize(packet, 0)) RespondInformation();
  return kNoPart;
}

FramePart BeginOf(const Packet &packet) {
  if (!HasSize(packet, kBeginBytes)) return kNoPart;
  if (packet.body[0] != kVersion) {
    RespondError("version", "the version must be #, received #", {kVersion, packet.body[0]});
    return kNoPart;
  }
  const int32_t width = Number(packet.body + 1);
  const int32_t height = Number(packet.body + 3);
  if (width < 1 || height < 1 || width > kLargestFrameWidth || height > kLargestFrameHeight) {
    RespondError("size", "a frame must have from 1x1 to #x# pixels, received #x#",
                 {kLargestFrameWidth, kLargestFrameHeight, width, height});
    return kNoPart;
  }
  if (frame.is_there) {
    RespondError("order", "frame ended at row # of #", {frame.rows, frame.height});
  }
  frame = {true, width, height, 0};
  return {FramePart::Kind::kBegin, width, height, nullptr};
}

FramePart RowOf(const Packet &packet) {
  if (!frame.is_there) {
    RespondError("order", "a row must be one of a frame, received one without begin");
    return kNoPart;
  }
  if (!HasSize(packet, kIndexBytes + kChannels * frame.width)) return kNoPart;
  const int32_t index = Number(packet.body);
  if (index == frame.rows - 1) {
    RespondRow(index);  // the sender has not heard the answer
    return kNoPart;
  }
  if (index != frame.rows) {
    RespondError("order", "the next row must be # of #, received #",
                 {frame.rows, frame.height, index});
    return kNoPart;
  }
  ++frame.rows;
  const bool is_last = frame.rows == frame.height;
  return {is_last ? FramePart::Kind::kLastRow : FramePart::Kind::kRow, 0, 0,
          packet.body + kIndexBytes};
}

FramePart PartOf(const Packet &packet) {
  switch (packet.kind) {
    case 'I':
      return AnswerInformation(packet);
    case 'B':
      return BeginOf(packet);
    case 'R':
      return RowOf(packet);
    default:
      RespondError("kind", "a packet must be of kind 73 (I), 66 (B) or 82 (R), received #",
                   {packet.kind});
      return kNoPart;
  }
}

}  // namespace

FramePart NextFramePart() {
  const int character = PlatformReadCharacter();
  if (character < 0) return kNoPart;
  switch (receiver.Take(static_cast<uint8_t>(character))) {
    case PacketEvent::kPacket:
      return PartOf(receiver.packet());
    case PacketEvent::kNoise:
      RespondError("noise", "bytes must be packets in frames of SLIP, received others");
      break;
    case PacketEvent::kChecksum:
      RespondError("checksum", "a packet must end with its CRC-32, received another");
      break;
    case PacketEvent::kTooLong:
      RespondError("length", "a packet must have at most # bytes, received more",
                   {sizeof(packet_memory)});
      break;
    case PacketEvent::kNothing:
      break;
  }
  return kNoPart;
}

void AnswerFramePart() {
  if (frame.rows == 0) {
    RespondBegin();
  } else {
    RespondRow(frame.rows - 1);
  }
}

void AnswerLastRow(const Recognition &recognition) {
  frame.is_there = false;
  RespondRecognition(recognition);
}

}  // namespace micronet

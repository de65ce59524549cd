// SPDX-License-Identifier: Apache-2.0
// Takes the bytes of the standard input with a receiver that has room for kRoom. Prints an event
// on each line: its name, and of a packet the bytes of kind and body in hexadecimal.
#include <cstdio>

#include "serial_packets.h"

int main() {
  using micronet::Packet;
  using micronet::PacketEvent;
  constexpr int32_t kRoom = 40;  // ROOM in test_serial_packets.py
  static uint8_t memory[kRoom];
  micronet::PacketReceiver receiver(memory, kRoom);
  for (int byte = std::getchar(); byte != EOF; byte = std::getchar()) {
    switch (receiver.Take(static_cast<uint8_t>(byte))) {
      case PacketEvent::kNothing:
        break;
      case PacketEvent::kPacket: {
        const Packet packet = receiver.packet();
        std::printf("packet %02x", packet.kind);
        for (int32_t i = 0; i < packet.body_size; ++i) std::printf("%02x", packet.body[i]);
        std::printf("\n");
        break;
      }
      case PacketEvent::kNoise:
        std::printf("noise\n");
        break;
      case PacketEvent::kChecksum:
        std::printf("checksum\n");
        break;
      case PacketEvent::kTooLong:
        std::printf("length\n");
        break;
    }
  }
  return 0;
}

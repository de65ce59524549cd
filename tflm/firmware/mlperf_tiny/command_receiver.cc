// SPDX-License-Identifier: Apache-2.0
#include "command_receiver.h"

namespace micronet {

CommandEvent CommandReceiver::Take(uint8_t byte) {
  if (byte == '\r' || byte == '\n' || byte == '\0') return CommandEvent::kNothing;
  if (byte != '%') {
    if (length_ < kMostCharacters) characters_[length_] = static_cast<char>(byte);
    if (length_ <= kMostCharacters) ++length_;
    return CommandEvent::kNothing;
  }
  const bool is_too_long = length_ > kMostCharacters;
  characters_[is_too_long ? 0 : length_] = '\0';
  length_ = 0;
  return is_too_long ? CommandEvent::kTooLong : CommandEvent::kCommand;
}

}  // namespace micronet

// SPDX-License-Identifier: Apache-2.0
// Commands of the serial line: characters that end with "%".
#ifndef MICRONET_COMMAND_RECEIVER_H
#define MICRONET_COMMAND_RECEIVER_H

#include <stdint.h>

namespace micronet {

enum class CommandEvent {
  kNothing,  // a command has not ended
  kCommand,  // one has ended
  kTooLong,  // one has ended that was too long, and is lost
};

class CommandReceiver {
 public:
  // Of a command, its end not counted: as many as the benchmark's own firmware takes.
  static constexpr int32_t kMostCharacters = 80;

  // Takes the next byte of the line. Ends of lines and zeros, which terminals add, are passed over.
  CommandEvent Take(uint8_t byte);

  // After kCommand, until the next byte is taken: text that ends with a zero. May be changed.
  char *command() { return characters_; }

 private:
  char characters_[kMostCharacters + 1];
  int32_t length_ = 0;  // of what has come; one more than kMostCharacters if it is too long
};

}  // namespace micronet

#endif  // MICRONET_COMMAND_RECEIVER_H

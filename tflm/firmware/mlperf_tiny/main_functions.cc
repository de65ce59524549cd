// SPDX-License-Identifier: Apache-2.0
// The application that the runner of MLPerf Tiny drives.
#include "main_functions.h"

#include "benchmark_responder.h"
#include "command_receiver.h"
#include "commands.h"
#include "inference.h"
#include "platform.h"

namespace micronet {
namespace {

CommandReceiver receiver;

}  // namespace

void Setup() {
  StartInference();
  WriteLine("m-timestamp-mode-performance");
  RespondTimestamp();
  WriteLine("m-init-done");
  RespondBenchmarkReady();
}

void Loop() {
  const int character = PlatformReadCharacter();
  if (character < 0) return;
  switch (receiver.Take(static_cast<uint8_t>(character))) {
    case CommandEvent::kNothing:
      break;
    case CommandEvent::kCommand:
      RunCommand(receiver.command());
      break;
    case CommandEvent::kTooLong:
      RefuseNumbers("a command must have at most # characters. Received: more",
                    {CommandReceiver::kMostCharacters});
      RespondBenchmarkReady();
      break;
  }
}

}  // namespace micronet

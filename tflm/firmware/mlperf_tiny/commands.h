// SPDX-License-Identifier: Apache-2.0
// The commands of the benchmark's runner.
#ifndef MICRONET_COMMANDS_H
#define MICRONET_COMMANDS_H

namespace micronet {

// Runs a command and answers it. What cannot be run is answered with an error.
//
// command: text that ends with a zero, without the "%" at a command's end; it is written to.
void RunCommand(char *command);

// The end of an answer, and of the start.
void RespondBenchmarkReady();

}  // namespace micronet

#endif  // MICRONET_COMMANDS_H

// SPDX-License-Identifier: Apache-2.0
// Lines for the benchmark's runner. They end with "\r\n"; those that say something begin with "m-",
// errors are "e-[...]", and "m-ready" ends the answer to every command.
#ifndef MICRONET_BENCHMARK_RESPONDER_H
#define MICRONET_BENCHMARK_RESPONDER_H

#include <stdint.h>

#include <initializer_list>

#include "error_responder.h"

namespace micronet {

// text: `numbers` take the places of its characters "#", one after the other.
void WriteLine(const char *text, std::initializer_list<int64_t> numbers = {});

void EndBenchmarkLine();

// e-[<rule> Received: <received>]
//
// received: shown with a question mark for whatever is not visible.
void Refuse(const char *rule, const char *received);

// e-[<sentence>], with `numbers` as above
void RefuseNumbers(const char *sentence, std::initializer_list<int64_t> numbers = {});

// m-lap-us-<microseconds since the start>
void RespondTimestamp();

// error_responder.h's RespondError writes: e-[<code>: <sentence>]

}  // namespace micronet

#endif  // MICRONET_BENCHMARK_RESPONDER_H

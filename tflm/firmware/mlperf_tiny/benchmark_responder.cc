// SPDX-License-Identifier: Apache-2.0
#include "benchmark_responder.h"

#include "platform.h"
#include "text_output.h"

namespace micronet {
namespace {

constexpr uint64_t kMicroseconds = 1000000;  // of a second

// Seconds and the rest of one apart, so that no product is too large in any time.
uint64_t MicrosecondsOf(uint64_t cycles, uint64_t cycles_per_second) {
  return cycles / cycles_per_second * kMicroseconds +
         cycles % cycles_per_second * kMicroseconds / cycles_per_second;
}

}  // namespace

void EndBenchmarkLine() { WriteText("\r\n"); }

void WriteLine(const char *text, std::initializer_list<int64_t> numbers) {
  WriteTextWithNumbers(text, numbers);
  EndBenchmarkLine();
}

void Refuse(const char *rule, const char *received) {
  WriteText("e-[");
  WriteText(rule);
  WriteText(" Received: ");
  for (; *received != '\0'; ++received) {
    const char shown[] = {*received >= ' ' && *received <= '~' ? *received : '?', '\0'};
    WriteText(shown);
  }
  WriteText("]");
  EndBenchmarkLine();
}

void RefuseNumbers(const char *sentence, std::initializer_list<int64_t> numbers) {
  WriteText("e-[");
  WriteTextWithNumbers(sentence, numbers);
  WriteText("]");
  EndBenchmarkLine();
}

void RespondTimestamp() {
  const uint64_t microseconds = MicrosecondsOf(PlatformCycles(), PlatformCyclesPerSecond());
  WriteLine("m-lap-us-#", {static_cast<int64_t>(microseconds)});
}

void RespondError(const char *code, const char *sentence, std::initializer_list<int64_t> numbers) {
  WriteText("e-[");
  WriteText(code);
  WriteText(": ");
  WriteTextWithNumbers(sentence, numbers);
  WriteText("]");
  EndBenchmarkLine();
}

}  // namespace micronet

// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include "benchmark_responder.h"
#include "benchmark_task.h"
#include "inference.h"
#include "input_data.h"
#include "micronet_scores.h"
#include "model_settings.h"
#include "text_output.h"
#include "words.h"

namespace micronet {
namespace {

constexpr int32_t kMostInferences = 1000000;  // a slip of the keyboard must not take days
constexpr int32_t kDefaultWarmups = 10;       // as the benchmark's own firmware has it

void Name() { WriteLine("m-name-dut-[keras_micronet]"); }

void Profile() {
  WriteLine("m-profile-[keras_micronet, MLPerf Tiny]");
  WriteText("m-model-[");
  WriteText(kBenchmarkTask);
  WriteLine("]");
}

void Help() {
  WriteLine("Commands end with a percent sign:");
  WriteLine("name, profile       who this is, and its task");
  WriteLine("timestamp           microseconds since the start");
  WriteLine("db load N           N bytes are to come, # for an image", {kInputSize});
  WriteLine("db HH...            the next of them, in hexadecimal");
  WriteLine("db print [N] [from] shows N of them (16) from one on (0)");
  WriteLine("infer [N] [W]       W inferences (#), then N (1) between timestamps",
            {kDefaultWarmups});
  WriteLine("results             the last one's probabilities");
}

void Results() {
  const uint16_t *probabilities = Probabilities();
  if (probabilities == nullptr) {
    RefuseNumbers("there must have been an inference: infer 1");
    return;
  }
  WriteText("m-results-");
  for (int32_t i = 0; i < kClassCount; ++i) {
    WriteText(i == 0 ? "[" : ",");
    WriteReal(static_cast<double>(probabilities[i]) / MICRONET_PROBABILITY_ONE);
  }
  WriteLine("]");
}

void InferTimes(int32_t count) {
  for (int32_t i = 0; i < count; ++i) Infer();
}

// Between the timestamps is nothing but inferences, and the writing of the first of them.
void RunInferences(int32_t count, int32_t warmups) {
  const uint8_t *image = WholeImage();
  if (image == nullptr) return;
  LoadInput(image);
  WriteLine("m-warmup-start-#", {warmups});
  InferTimes(warmups);
  WriteLine("m-warmup-done");
  WriteLine("m-infer-start-#", {count});
  RespondTimestamp();
  InferTimes(count);
  RespondTimestamp();
  WriteLine("m-infer-done");
  Results();
}

void InferCommand(Words *words) {
  const char *count_word = words->Next();
  const char *warmups_word = count_word == nullptr ? nullptr : words->Next();
  int32_t count = 1;
  int32_t warmups = kDefaultWarmups;
  if ((count_word != nullptr && !ParseNumber(count_word, kMostInferences, &count)) || count == 0 ||
      (warmups_word != nullptr && !ParseNumber(warmups_word, kMostInferences, &warmups)) ||
      words->Next() != nullptr) {
    RefuseNumbers("infer must be followed by inferences, from 1 to #, and warm-ups, from 0 to #",
                  {kMostInferences, kMostInferences});
    return;
  }
  RunInferences(count, warmups);
}

struct Command {
  const char *name;
  void (*run)();
};

// Those without words of their own.
constexpr Command kCommands[] = {
    {"name", Name},       {"profile", Profile}, {"help", Help}, {"timestamp", RespondTimestamp},
    {"results", Results},
};

void RunNamed(const char *name, Words *words) {
  for (const Command &command : kCommands) {
    if (!IsWord(name, command.name)) continue;
    if (const char *more = words->Next()) {
      Refuse("this command must stand alone.", more);
    } else {
      command.run();
    }
    return;
  }
  Refuse("a command must be one of those that help tells.", name);
}

}  // namespace

void RunCommand(char *command) {
  Words words(command);
  const char *name = words.Next();
  if (name != nullptr) {  // an empty command ends what was on the line before
    if (IsWord(name, "db")) {
      RunDataCommand(&words);
    } else if (IsWord(name, "infer")) {
      InferCommand(&words);
    } else {
      RunNamed(name, &words);
    }
  }
  RespondBenchmarkReady();
}

void RespondBenchmarkReady() { WriteLine("m-ready"); }

}  // namespace micronet

// SPDX-License-Identifier: Apache-2.0
// Resizes the frames of the standard input. Each is three numbers of 32 bits, which resizer of the
// list below, width and height, and its pixels. For each the output has the number of rows that
// came out, or -1 if the resizer refused the frame; and the rows, each behind a number that tells
// how many rows of the frame had come before.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "image_resizer.h"

namespace {

using micronet::ImageResizer;
using micronet::ImageResizerMemory;

template <int32_t width, int32_t height, int32_t shrink>
ImageResizer *Resizer() {
  static ImageResizerMemory<width, height, shrink> memory;
  static ImageResizer resizer(&memory);
  return &resizer;
}

// RESIZERS in test_image_resizer.py.
struct Choice {
  ImageResizer *resizer;
  int32_t width;
};
const Choice kChoices[] = {
    {Resizer<32, 24, 4>(), 32},
    {Resizer<9, 20, 2>(), 9},
    {Resizer<224, 224, 4>(), 224},
    {Resizer<1, 1, 16>(), 1},
};

bool Read(void *target, size_t size) { return std::fread(target, 1, size, stdin) == size; }

void Write(const void *source, size_t size) {
  if (size > 0 && std::fwrite(source, 1, size, stdout) != size) std::exit(EXIT_FAILURE);
}

void Answer(int32_t number) { Write(&number, sizeof(number)); }

}  // namespace

int main() {
  int32_t head[3];
  while (Read(head, sizeof(head))) {
    const int32_t width = head[1];
    const int32_t height = head[2];
    const auto [resizer, result_width] = kChoices[head[0]];
    const bool is_taken = resizer->Begin(width, height);
    int32_t count = 0;
    std::vector<uint8_t> rows;
    for (int32_t y = 0; y < height; ++y) {
      std::vector<uint8_t> row(width * 3);  // of its own, so that sanitizers see its ends
      if (!Read(row.data(), row.size())) return EXIT_FAILURE;
      if (!is_taken) continue;
      resizer->Push(row.data());
      while (const uint8_t *result = resizer->NextRow()) {
        ++count;
        const int32_t come = y + 1;
        const auto *bytes = reinterpret_cast<const uint8_t *>(&come);
        rows.insert(rows.end(), bytes, bytes + sizeof(come));
        rows.insert(rows.end(), result, result + result_width * 3);
      }
    }
    Answer(is_taken ? count : -1);
    Write(rows.data(), rows.size());
  }
  return EXIT_SUCCESS;
}

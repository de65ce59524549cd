// SPDX-License-Identifier: Apache-2.0
// Frames of any size become the model's input, row by row: no frame is ever in memory.
//
// The result is that of training: the largest centred part of the frame with the model's
// proportions, resized by cubic interpolation (Keys, a = -0.5) whose kernel grows with the shrink,
// so that all pixels count. Compared with exact arithmetic a value may be off by 1 where that is
// close to a half.
#ifndef MICRONET_IMAGE_RESIZER_H
#define MICRONET_IMAGE_RESIZER_H

#include <stdint.h>

namespace micronet {

// What a resizer writes to.
template <int32_t width, int32_t height, int32_t shrink, int32_t channels = 3>
struct ImageResizerMemory;

class ImageResizer {
 public:
  static constexpr int32_t kMostShrink = 16;

  // Pixels of a line of the source that count for one of the result, at most. The kernel reaches
  // two pixels to each side, or as many times two as the frame shrinks.
  static constexpr int32_t LargestSpan(int32_t shrink) { return 4 * shrink; }

  // Resizes to width x height what is at most `shrink` times as wide and high.
  //
  // memory: must be there as long as the resizer.
  template <int32_t width, int32_t height, int32_t shrink, int32_t channels>
  constexpr explicit ImageResizer(ImageResizerMemory<width, height, shrink, channels> *memory)
      : output_width_(width),
        output_height_(height),
        channels_(channels),
        largest_shrink_(shrink),
        rows_(memory->rows),
        column_weights_(memory->column_weights),
        column_starts_(memory->column_starts),
        output_row_(memory->output_row) {}

  // Begins a frame and forgets an unfinished one.
  //
  // width, height: of the frame in pixels, at least 1.
  // Returns whether it can be resized: the part of it that counts must have at most `shrink`
  // times the result's rows and columns. If not, no rows may be pushed.
  bool Begin(int32_t width, int32_t height);

  // Takes the next row of the frame, the top one first: width * channels bytes. NextRow must have
  // returned null since the last row.
  void Push(const uint8_t *row);

  // The next row of the result, output_width * channels bytes, or null if further rows of the frame
  // must come first. Valid until the next call of Push or NextRow.
  const uint8_t *NextRow();

 private:
  void ResizeColumns(const uint8_t *pixels, int16_t *result) const;
  void SumRows(int32_t start, const int16_t *weights) const;

  int32_t output_width_;
  int32_t output_height_;
  int32_t channels_;
  int32_t largest_shrink_;
  int16_t *rows_;
  int16_t *column_weights_;
  int32_t *column_starts_;
  uint8_t *output_row_;

  int32_t left_ = 0;  // of the part that counts, in the frame
  int32_t top_ = 0;
  int32_t crop_width_ = 0;
  int32_t crop_height_ = 0;
  int32_t column_span_ = 0;    // pixels that count for a column of the result
  int32_t row_span_ = 0;       // rows that count for a row of the result
  int32_t input_rows_ = 0;     // of the frame that have come
  int32_t output_rows_ = 0;    // of the result that have gone
  bool is_unchanged_ = false;  // the frame is the result
  const uint8_t *unchanged_row_ = nullptr;
};

// Apart from the resizer, so that a program need not store its zeros.
template <int32_t width, int32_t height, int32_t shrink, int32_t channels>
struct ImageResizerMemory {
  static_assert(width > 0 && height > 0 && shrink > 0, "There must be pixels.");
  // Products of sizes must fit into 32 bits.
  static_assert(width <= 4096 && height <= 4096 && shrink <= ImageResizer::kMostShrink,
                "Sizes must be moderate.");

  int16_t rows[ImageResizer::LargestSpan(shrink) * width * channels];
  int16_t column_weights[ImageResizer::LargestSpan(shrink) * width];
  int32_t column_starts[width];
  uint8_t output_row[width * channels];
};

}  // namespace micronet

#endif  // MICRONET_IMAGE_RESIZER_H

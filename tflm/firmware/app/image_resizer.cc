// SPDX-License-Identifier: Apache-2.0
#include "image_resizer.h"

namespace micronet {
namespace {

constexpr int32_t kMostSpan = ImageResizer::LargestSpan(ImageResizer::kMostShrink);
constexpr int kWeightBits = 14;  // behind the point; a weight can be a little more than 1
constexpr int kRowBits = 6;      // of values between the two directions, from about -100 to 400

int32_t Limited(int32_t value, int32_t lowest, int32_t highest) {
  return value < lowest ? lowest : value > highest ? highest : value;
}

// Rounds to the nearest and removes `bits` bits behind the point.
int32_t Rounded(int32_t value, int bits) { return (value + (1 << (bits - 1))) >> bits; }

// One direction: `source` pixels become `result` pixels.
class Line {
 public:
  constexpr Line(int32_t source, int32_t result) : source_(source), result_(result) {}

  int32_t Longer() const { return source_ > result_ ? source_ : result_; }

  // Pixels of the source that count for one of the result, at most.
  int32_t Span() const { return Limited(Reach(), 1, source_); }

  // How far the pixel `position` of the source is from that of the result, `index`: in units of
  // 1 / (2 * Longer()) of the kernel's length of 1. Exact.
  int32_t Distance(int32_t position, int32_t index) const {
    return (2 * position + 1) * result_ - (2 * index + 1) * source_;
  }

  // The first of Span() pixels among which are all that count.
  int32_t Start(int32_t index) const { return Limited(First(index), 0, source_ - Span()); }

  // Behind the last pixel that counts.
  int32_t End(int32_t index) const { return Limited(First(index) + Reach(), 1, source_); }

 private:
  // Pixels that would count if there were some before the first and behind the last.
  int32_t Reach() const { return (4 * Longer() + result_ - 1) / result_; }

  // The first of them.
  int32_t First(int32_t index) const {
    const int32_t doubled = (2 * index + 1) * source_ - 4 * Longer() - result_;
    const int32_t quotient = doubled / (2 * result_);
    const bool is_rounded_up = doubled < 0 && doubled % (2 * result_) != 0;
    return quotient + 1 - (is_rounded_up ? 1 : 0);
  }

  int32_t source_;
  int32_t result_;
};

// Keys' cubic kernel with a = -0.5. distance: at least 0, with 16 bits behind the point.
// Returns a value with 28 bits behind the point.
int64_t Kernel(int64_t distance) {
  constexpr int64_t kOne = 1 << 16;
  const int64_t square = distance * distance;
  const int64_t cube = square * distance;
  if (distance < kOne) return (3 * cube - 5 * square * kOne + 2 * kOne * kOne * kOne) >> 21;
  if (distance >= 2 * kOne) return 0;
  return (-cube + 5 * square * kOne - 8 * distance * kOne * kOne + 4 * kOne * kOne * kOne) >> 21;
}

// Writes the weights of line.Span() pixels from line.Start(index) on. Their sum is exactly 1.
void ComputeWeights(const Line &line, int32_t index, int16_t *weights) {
  const int32_t span = line.Span();
  const int32_t start = line.Start(index);
  int64_t values[kMostSpan];
  int64_t total = 0;
  for (int32_t i = 0; i < span; ++i) {
    const int32_t distance = line.Distance(start + i, index);
    const int64_t size = distance < 0 ? -distance : distance;
    values[i] = Kernel((size << 16) / (2 * line.Longer()));
    total += values[i];
  }
  // Sums are rounded, not weights, whose rounding errors would add up.
  const int64_t factor = (int64_t{1} << 60) / total;
  int64_t sum = 0;
  int32_t rounded_before = 0;
  for (int32_t i = 0; i < span; ++i) {
    sum += values[i];
    const int shift = 60 - kWeightBits;
    const int32_t rounded =
        static_cast<int32_t>((sum * factor + (int64_t{1} << (shift - 1))) >> shift);
    weights[i] = static_cast<int16_t>(rounded - rounded_before);
    rounded_before = rounded;
  }
}

}  // namespace

bool ImageResizer::Begin(int32_t width, int32_t height) {
  crop_height_ = Limited(width * output_height_ / output_width_, 1, height);
  crop_width_ = Limited(height * output_width_ / output_height_, 1, width);
  if (crop_width_ > largest_shrink_ * output_width_) return false;
  if (crop_height_ > largest_shrink_ * output_height_) return false;
  top_ = (height - crop_height_) / 2;
  left_ = (width - crop_width_) / 2;
  input_rows_ = 0;
  output_rows_ = 0;
  unchanged_row_ = nullptr;
  is_unchanged_ = width == output_width_ && height == output_height_;
  const Line columns(crop_width_, output_width_);
  column_span_ = columns.Span();
  row_span_ = Line(crop_height_, output_height_).Span();
  for (int32_t x = 0; x < output_width_ && !is_unchanged_; ++x) {
    column_starts_[x] = columns.Start(x);
    ComputeWeights(columns, x, column_weights_ + x * column_span_);
  }
  return true;
}

void ImageResizer::Push(const uint8_t *row) {
  const int32_t y = input_rows_++ - top_;
  if (is_unchanged_) {
    unchanged_row_ = row;
  } else if (y >= 0 && y < crop_height_) {
    // The rows that count are at the places of their numbers, modulo how many there are.
    ResizeColumns(row + left_ * channels_, rows_ + y % row_span_ * output_width_ * channels_);
  }
}

const uint8_t *ImageResizer::NextRow() {
  if (is_unchanged_) {
    const uint8_t *row = unchanged_row_;
    unchanged_row_ = nullptr;
    return row;
  }
  const Line rows(crop_height_, output_height_);
  if (output_rows_ == output_height_) return nullptr;
  if (input_rows_ - top_ < rows.End(output_rows_)) return nullptr;
  int16_t weights[kMostSpan];
  ComputeWeights(rows, output_rows_, weights);
  SumRows(rows.Start(output_rows_), weights);
  ++output_rows_;
  return output_row_;
}

void ImageResizer::ResizeColumns(const uint8_t *pixels, int16_t *result) const {
  const int16_t *weights = column_weights_;
  for (int32_t x = 0; x < output_width_; ++x) {
    for (int32_t channel = 0; channel < channels_; ++channel) {
      const uint8_t *value = pixels + column_starts_[x] * channels_ + channel;
      int32_t sum = 0;
      for (int32_t i = 0; i < column_span_; ++i) sum += value[i * channels_] * weights[i];
      *result++ = static_cast<int16_t>(Rounded(sum, kWeightBits - kRowBits));
    }
    weights += column_span_;
  }
}

// Of the rows from `start` on.
void ImageResizer::SumRows(int32_t start, const int16_t *weights) const {
  const int32_t row_size = output_width_ * channels_;
  const int16_t *rows[kMostSpan];
  for (int32_t i = 0; i < row_span_; ++i) {
    rows[i] = rows_ + (start + i) % row_span_ * row_size;
  }
  for (int32_t x = 0; x < row_size; ++x) {
    int32_t sum = 0;
    for (int32_t i = 0; i < row_span_; ++i) sum += rows[i][x] * weights[i];
    const int32_t value = Rounded(sum, kWeightBits + kRowBits);
    output_row_[x] = static_cast<uint8_t>(Limited(value, 0, UINT8_MAX));
  }
}

}  // namespace micronet

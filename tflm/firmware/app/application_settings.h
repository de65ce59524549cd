// SPDX-License-Identifier: Apache-2.0
// What the application's user can choose. Options of CMake set the numbers that have names of
// macros here.
#ifndef MICRONET_APPLICATION_SETTINGS_H
#define MICRONET_APPLICATION_SETTINGS_H

#include <stdint.h>

#include "model_settings.h"
#if __has_include("model_recognition.h")
#include "model_recognition.h"
#define MICRONET_HAS_GRID 1
#else
#define MICRONET_HAS_GRID 0
#endif

namespace micronet {

// Scores that the model puts out: one a class, or as many as its cells answer.
#if MICRONET_HAS_GRID
constexpr int32_t kScoreCount = kGridRows * kGridColumns * kGridAnswers;
#else
constexpr int32_t kScoreCount = kClassCount;
#endif

// LARGEST_SHRINK: how many times as wide and as high as the model's input a frame may be. Memory
// for the resizer and for a received row grows with it.
constexpr int32_t kLargestShrink = MICRONET_LARGEST_SHRINK;
constexpr int32_t kLargestFrameWidth = kLargestShrink * kInputWidth;
constexpr int32_t kLargestFrameHeight = kLargestShrink * kInputHeight;

// ARENA_BYTES: of the model's arena. Without it they are as many as the model needs.
#if defined(MICRONET_ARENA_BYTES)
constexpr int32_t ChosenArenaBytes(int32_t) { return MICRONET_ARENA_BYTES; }
#else
constexpr int32_t ChosenArenaBytes(int32_t needed_bytes) { return needed_bytes; }
#endif

// The platform's PLATFORM_ARENA_SECTION: where the arena goes, if not among all variables.
#if defined(MICRONET_ARENA_SECTION)
#define MICRONET_ARENA_PLACE __attribute__((section(MICRONET_ARENA_SECTION)))
#else
#define MICRONET_ARENA_PLACE
#endif

// Frames and rows are raw, as the model's input is: RGB or gray.
constexpr int32_t kChannels = kInputChannels;
static_assert(kChannels == 3 || kChannels == 1, "The model's input must be an RGB or gray image.");

}  // namespace micronet

#endif  // MICRONET_APPLICATION_SETTINGS_H

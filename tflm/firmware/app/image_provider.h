// SPDX-License-Identifier: Apache-2.0
// Where images come from. The build chooses one of the files image_provider_*.cc, which define
// these functions.
//
// A frame comes in parts: its begin with its size, then its rows from the top.
#ifndef MICRONET_IMAGE_PROVIDER_H
#define MICRONET_IMAGE_PROVIDER_H

#include <stdint.h>

#include "recognition_responder.h"

namespace micronet {

struct FramePart {
  enum class Kind {
    kNothing,  // there is none now
    kBegin,    // a frame begins; an unfinished one before it is to be forgotten
    kRow,      // the next row
    kLastRow,  // the frame's last row
  };
  Kind kind;
  int32_t width;       // of kBegin: the frame's size in pixels, at least 1x1 and at most
  int32_t height;      // kLargestFrameWidth x kLargestFrameHeight
  const uint8_t *row;  // of rows: width * kChannels bytes, valid until the part is answered
};

// The next part of a frame. Does not wait for one.
FramePart NextFramePart();

// To be called when a part has been worked on, and before the next: a begin, or a row that was not
// the last.
void AnswerFramePart();

// The same for the last row.
void AnswerLastRow(const Recognition &recognition);

}  // namespace micronet

#endif  // MICRONET_IMAGE_PROVIDER_H

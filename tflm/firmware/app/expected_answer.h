// SPDX-License-Identifier: Apache-2.0
// What test vectors say of an image besides its scores. The model's task chooses the file
// expected_answer_*.cc that defines this function.
#ifndef MICRONET_EXPECTED_ANSWER_H
#define MICRONET_EXPECTED_ANSWER_H

#include <stdint.h>

#include "recognition_responder.h"

namespace micronet {

// Whether that is found in the image of this index. If not, an error has told what differs.
bool IsExpectedAnswer(int32_t image, const Recognition &recognition);

}  // namespace micronet

#endif  // MICRONET_EXPECTED_ANSWER_H

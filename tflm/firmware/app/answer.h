// SPDX-License-Identifier: Apache-2.0
// What the scores of an image say, as fields of a line on the serial line. The model's task chooses
// the file answer_*.cc that defines these functions.
#ifndef MICRONET_ANSWER_H
#define MICRONET_ANSWER_H

#include "recognition_responder.h"

namespace micronet {

// The last fields of ready and info, each behind a space. None for models of classes.
void WriteTask();

// The first fields of result.
void WriteAnswer(const Recognition &recognition);

// Its last fields, each behind a space.
void WriteAnswerDetails(const Recognition &recognition);

}  // namespace micronet

#endif  // MICRONET_ANSWER_H

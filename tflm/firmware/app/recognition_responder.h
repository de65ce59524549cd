// SPDX-License-Identifier: Apache-2.0
// What the application tells whoever listens to the serial line: lines of ASCII that end with "\n".
// Their first words tell what they are; fields of the form name=value stand between spaces.
#ifndef MICRONET_RECOGNITION_RESPONDER_H
#define MICRONET_RECOGNITION_RESPONDER_H

#include <stdint.h>

#include "error_responder.h"
#include "recognizer.h"

namespace micronet {

// What was recognized in one image.
struct Recognition {
  const int8_t *scores;  // kClassCount of them
  uint64_t cycles;       // by PlatformCycles(), of the recognizer's functions for this image
};

// ready model=<identifier> input=<width>x<height> classes=<n> arena=<bytes> runtime=<name>
//
// To be called once, before the others except RespondError. Remembers the model.
void RespondReady(const ModelDescription &model);

// info, and the fields of ready.
void RespondInformation();

// ok begin
void RespondBegin();

// ok row <index>
void RespondRow(int32_t index);

// result class=<index> name=<name> score=<real value> cycles=<n> arena=<bytes> scores=<n,n,...>
//
// The class is that of the largest score, the first of them if several are as large. Its name is
// percent-encoded UTF-8, its score real, with three decimals; the scores at the end are int8.
void RespondRecognition(const Recognition &recognition);

// error_responder.h's RespondError writes: error <code> <sentence>

}  // namespace micronet

#endif  // MICRONET_RECOGNITION_RESPONDER_H

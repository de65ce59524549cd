// SPDX-License-Identifier: Apache-2.0
// The image that the runner sends piece by piece: the commands "db ...".
#ifndef MICRONET_INPUT_DATA_H
#define MICRONET_INPUT_DATA_H

#include <stdint.h>

#include "words.h"

namespace micronet {

// Runs a command "db ...", and answers it but for its end. What is refused changes nothing.
//
//   db load N           N bytes are to come; those from before are forgotten
//   db HH...            the next bytes, two hexadecimal digits each
//   db print [N] [from] shows N bytes (16) from one on (0)
//
// words: those behind "db".
void RunDataCommand(Words *words);

// A whole image, kInputSize bytes, or null, after an error, if it is not there.
const uint8_t *WholeImage();

}  // namespace micronet

#endif  // MICRONET_INPUT_DATA_H

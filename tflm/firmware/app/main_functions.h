// SPDX-License-Identifier: Apache-2.0
// An application. Beside this file: recognizes what the image provider's frames show.
#ifndef MICRONET_MAIN_FUNCTIONS_H
#define MICRONET_MAIN_FUNCTIONS_H

namespace micronet {

// To be called once at the start. Ends the program, after one error that tells why, if the model
// cannot work: "arena" or "model".
void Setup();

// To be called again and again. Works on what the line or the image provider has next, if anything.
void Loop();

}  // namespace micronet

#endif  // MICRONET_MAIN_FUNCTIONS_H

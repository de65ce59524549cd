// SPDX-License-Identifier: Apache-2.0
// The application: recognizes what the image provider's frames show.
#ifndef MICRONET_MAIN_FUNCTIONS_H
#define MICRONET_MAIN_FUNCTIONS_H

namespace micronet {

// To be called once at the start. Ends the program, after one line that tells why, if the model
// cannot work: "error arena ..." or "error model ...".
void Setup();

// To be called again and again. Works on one part of a frame, if there is one.
void Loop();

}  // namespace micronet

#endif  // MICRONET_MAIN_FUNCTIONS_H

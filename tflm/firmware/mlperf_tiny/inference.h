// SPDX-License-Identifier: Apache-2.0
// What the benchmark times: an image's probabilities, again and again from the same input.
#ifndef MICRONET_INFERENCE_H
#define MICRONET_INFERENCE_H

#include <stdint.h>

namespace micronet {

// To be called once, before the others. Ends the program, after an error, if the model cannot work.
void StartInference();

// Makes the model's input of an image. Preprocessing, which the benchmark does not time.
//
// pixels: kInputSize bytes, raw RGB, the pixel at the top left first.
void LoadInput(const uint8_t *pixels);

// Computes the probabilities of the image that was loaded last. Ends the program, after an error,
// if the model fails.
void Infer();

// Of the classes, in Q15: kClassCount values, or null before the first inference.
const uint16_t *Probabilities();

}  // namespace micronet

#endif  // MICRONET_INFERENCE_H

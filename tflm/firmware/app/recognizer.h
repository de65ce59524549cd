// SPDX-License-Identifier: Apache-2.0
// The model at work: rows of its input go in, scores come out. The build chooses the runtime, and
// with it the file recognizer_*.cc that defines these functions.
//
// Where a function returns text, it is null if all went well, else a sentence that tells what went
// wrong, after which nothing here can be used any more.
#ifndef MICRONET_RECOGNIZER_H
#define MICRONET_RECOGNIZER_H

#include <stdint.h>

namespace micronet {

// The model that was linked, as the runtime knows it.
struct ModelDescription {
  const char *runtime;  // "static" or "tflm"
  uint32_t identifier;  // CRC-32 of the model's flatbuffer
  int32_t input_height;
  int32_t input_width;
  int32_t input_channels;
  int32_t output_size;  // number of scores
  int32_t arena_bytes;  // that the model uses
};

// Bytes of RAM that the model needs for its activations, and that there are. When there are fewer
// than it needs nothing else here may be called.
int32_t NeededArenaBytes();
int32_t ArenaBytes();

// Gets the model ready and describes it. To be called once, before all below.
const char *StartRecognizer(ModelDescription *model);

// Begins an image and forgets an unfinished one.
const char *BeginImage();

// Takes the image's next row, the top one first.
//
// row: the model's input, int8, input_width * input_channels bytes, all channels of a pixel
//     together, at a multiple of 4 bytes. Free to be overwritten after the call.
const char *PushImageRow(const int8_t *row);

// Computes the scores, once all rows are there.
//
// scores: is set to output_size int8 values, valid until the next image begins.
const char *RecognizeImage(const int8_t **scores);

}  // namespace micronet

#endif  // MICRONET_RECOGNIZER_H

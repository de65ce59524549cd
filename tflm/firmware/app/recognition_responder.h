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
  const int8_t *scores;  // kScoreCount of them
  uint64_t cycles;       // by PlatformCycles(), of the recognizer's functions for this image
  int32_t left;          // of the part of the frame that became the model's input, in its pixels
  int32_t top;
  int32_t part_width;
  int32_t part_height;
};

// ready model=<identifier> input=<width>x<height> classes=<n> arena=<bytes> runtime=<name>
//
// A model of a grid adds: task=<name> grid=<columns>x<rows> names=<names of classes or joints>
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
//
// Of a model of a grid, with <crc>, the CRC-32 of all before " crc=":
// result task=detect objects=<n> cycles=<n> arena=<bytes> list=<objects> crc=<crc>
// result task=keypoints objects=<n> cycles=<n> arena=<bytes> list=<objects> crc=<crc>
// result task=segment left=<x> top=<y> width=<w> height=<h> cycles=<n> arena=<bytes>
//     cells=<n,n,...> map=<classes> crc=<crc>, in one line
//
// Objects are <class>,<x>,<y>,<width>,<height>,<score in Q15> with ";" between them, places and
// sizes in pixels of the frame as it came. For segmentation the four numbers tell which part of the
// frame the cells cover; cells are counted for background and each class, and the map has two
// hexadecimal digits for each cell, row after row.
void RespondRecognition(const Recognition &recognition);

// error_responder.h's RespondError writes: error <code> <sentence>

}  // namespace micronet

#endif  // MICRONET_RECOGNITION_RESPONDER_H

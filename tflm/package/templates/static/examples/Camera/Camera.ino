/* SPDX-License-Identifier: 0BSD */
/* What a camera sees, line by line: no frame is ever in memory. camera_example.c has the camera's
 * format and size at its head. */
#include <@TITLE@.h>

#include "camera_example.h"

/* Your camera's driver comes here: it lets the camera fill camera_example_line_buffer(0), (1), (0),
 * ... in turn, and calls camera_example_frame_interrupt() when a frame starts and
 * camera_example_line_interrupt(INDEX) when a buffer is full. */
static void start_camera() {}

void setup() {
  Serial.begin(115200);
  const char *error = camera_example_start();
  if (error != nullptr) Serial.println(error);
  start_camera();
}

void loop() {
  const int8_t *scores = camera_example_step();
  if (scores == nullptr) return;
@PRINT_ANSWERS@
}

// SPDX-License-Identifier: Apache-2.0
// What TensorFlow Lite Micro prints, kept for the application, which alone writes to the line.
//
// The library prints by DebugLog, formats by DebugVsnprintf and, in some headers, checks by assert.
// The definitions here take the place of those that need the C library's printing, and with it a
// heap.
#ifndef MICRONET_TENSORFLOW_LITE_MICRO_LOG_H
#define MICRONET_TENSORFLOW_LITE_MICRO_LOG_H

namespace micronet {

// The first message since the last ForgetMessages, cut after 159 characters and without control
// characters; "" if there was none. The first one names the cause, those after it what failed
// because of it.
const char *FirstMessage();

void ForgetMessages();

// Called, instead of looping for ever, when the library stops at a condition that it takes for
// granted. Defined by recognizer_tflm.cc.
[[noreturn]] void EndAfterHalt();

}  // namespace micronet

#endif  // MICRONET_TENSORFLOW_LITE_MICRO_LOG_H

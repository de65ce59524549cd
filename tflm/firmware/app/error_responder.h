// SPDX-License-Identifier: Apache-2.0
// How whatever went wrong is told. Each application writes it as its listeners expect.
#ifndef MICRONET_ERROR_RESPONDER_H
#define MICRONET_ERROR_RESPONDER_H

#include <stdint.h>

#include <initializer_list>

namespace micronet {

// code: one word.
// sentence: `numbers` take the places of its characters "#", one after the other.
void RespondError(const char *code, const char *sentence,
                  std::initializer_list<int64_t> numbers = {});

}  // namespace micronet

#endif  // MICRONET_ERROR_RESPONDER_H

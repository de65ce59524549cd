// SPDX-License-Identifier: Apache-2.0
#include "main_functions.h"

int main() {
  micronet::Setup();
  for (;;) micronet::Loop();
}

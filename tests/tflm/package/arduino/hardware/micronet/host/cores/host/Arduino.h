/* SPDX-License-Identifier: Apache-2.0 */
/* As much of Arduino as the exported examples use: what is printed goes to the standard output. */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stdint.h>
#include <stdio.h>

struct SerialPort {
  void begin(long) {}
  void print(const char *text) { fputs(text, stdout); }
  void print(long number) { printf("%ld", number); }
  void print(int number) { print((long)number); }
  void println(const char *text) {
    print(text);
    fputc('\n', stdout);
  }
  void println(int number) {
    print(number);
    fputc('\n', stdout);
  }
};

extern SerialPort Serial;

inline void delay(unsigned long) {}

void setup();
void loop();

#endif

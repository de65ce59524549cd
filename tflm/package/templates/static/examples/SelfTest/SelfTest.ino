/* SPDX-License-Identifier: 0BSD */
/* Open the serial monitor at 115200 baud: "self-test: @TEST_VECTORS@ of @TEST_VECTORS@ right". */
#include <@TITLE@.h>
#include <../test/@LIBRARY@_self_test.h>

alignas(16) static uint8_t arena[@CAPITALS@_SELF_TEST_ARENA_BYTES];

void setup() {
  Serial.begin(115200);
}

void loop() {
  const int32_t right = @LIBRARY@_self_test(arena, sizeof(arena));
  Serial.print("self-test: ");
  Serial.print(right);
  Serial.print(" of ");
  Serial.print(@CAPITALS@_TEST_VECTORS);
  Serial.println(" right");
  delay(5000);
}

/* SPDX-License-Identifier: 0BSD */
/* The program of the self-test, for CMake, Zephyr and ESP-IDF. */
#include <stdint.h>
#include <stdio.h>

#include "@LIBRARY@_self_test.h"

__attribute__((aligned(16))) static uint8_t arena[@CAPITALS@_SELF_TEST_ARENA_BYTES];

static int is_wrong(void) {
  const int right = (int)@LIBRARY@_self_test(arena, sizeof(arena));
  printf("self-test: %d of %d right\n", right, @CAPITALS@_TEST_VECTORS);
  return right != @CAPITALS@_TEST_VECTORS;
}

#if defined(ESP_PLATFORM)
void app_main(void) { (void)is_wrong(); }
#elif defined(__ZEPHYR__)
int main(void) {
  (void)is_wrong(); /* Zephyr knows no exit status but 0 */
  return 0;
}
#else
int main(void) { return is_wrong(); }
#endif

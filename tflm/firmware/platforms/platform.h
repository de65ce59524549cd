/* SPDX-License-Identifier: Apache-2.0 */
/* What the application needs of a board. Another board is another folder that defines these four
 * functions, and whose platform.cmake tells the build how; CMakeLists.txt says what it can set. */
#ifndef MICRONET_PLATFORM_H
#define MICRONET_PLATFORM_H

#include <stdint.h>

#if defined(__cplusplus)
extern "C" {
#endif

/* Sends one byte over the serial line. Waits until the line takes it. */
void PlatformWriteCharacter(uint8_t character);

/* The next byte that the serial line has received, 0 to 255, or -1 if there is none. Does not wait
 * for one. */
int PlatformReadCharacter(void);

/* A counter that starts anywhere and never goes back: cycles of the processor, or what comes
 * nearest to them. */
uint64_t PlatformCycles(void);

/* Ends the program. A board that has nobody to tell stops here for ever.
 *
 * status: 0 for success, else from 1 to 255. */
#if defined(__GNUC__)
__attribute__((noreturn))
#endif
void PlatformExit(int status);

#if defined(__cplusplus)
}
#endif

#endif /* MICRONET_PLATFORM_H */

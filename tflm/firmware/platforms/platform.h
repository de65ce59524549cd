/* SPDX-License-Identifier: Apache-2.0 */
/* What the applications need of a board. Another board is another folder that defines these
 * functions, and whose platform.cmake tells the build how; CMakeLists.txt says what it can set.
 * MICRONET_BITS_PER_SECOND is the chosen speed of the serial line. */
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

/* How far that counter counts in a second, with the clock that the board has now. Only what tells
 * times needs it: APPLICATION=mlperf-tiny. */
uint32_t PlatformCyclesPerSecond(void);

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

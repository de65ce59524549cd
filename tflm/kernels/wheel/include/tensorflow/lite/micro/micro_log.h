/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MICRONET_WHEEL_MICRO_LOG_H
#define MICRONET_WHEEL_MICRO_LOG_H

// Prints a line on standard error.
__attribute__((format(printf, 1, 2))) void MicroPrintf(const char *format, ...);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The emulated boards' first serial port. */
#ifndef SERIAL_PORT_H
#define SERIAL_PORT_H

#include <stdint.h>

/* Turns the port on. */
void serial_port_start(void);

/* Waits until the port takes the byte. */
void serial_port_write(uint8_t byte);

/* The next received byte, or -1 if there is none. */
int serial_port_read(void);

#endif

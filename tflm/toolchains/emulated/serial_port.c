/* SPDX-License-Identifier: Apache-2.0 */
/* Arm's CMSDK serial port. Its receiver holds one byte; the emulator keeps the next one back until
 * it is read. */
#include "serial_port.h"

typedef struct {
  volatile uint32_t data;
  volatile uint32_t state;
  volatile uint32_t control;
  volatile uint32_t interrupt;
  volatile uint32_t divider;
} SerialPort;

/* The build tells where the board has it. */
#define SERIAL_PORT ((SerialPort *)SERIAL_PORT_ADDRESS)

static const uint32_t kTransmitterFull = 1u << 0;
static const uint32_t kReceiverFull = 1u << 1;
static const uint32_t kTransmitterEnable = 1u << 0;
static const uint32_t kReceiverEnable = 1u << 1;
static const uint32_t kDivider = 217; /* 25 MHz / 115200 bits per second; QEMU does not keep time */

void serial_port_start(void) {
  SERIAL_PORT->divider = kDivider;
  SERIAL_PORT->control = kTransmitterEnable | kReceiverEnable;
}

void serial_port_write(uint8_t byte) {
  while (SERIAL_PORT->state & kTransmitterFull) {
  }
  SERIAL_PORT->data = byte;
}

int serial_port_read(void) {
  return SERIAL_PORT->state & kReceiverFull ? (int)(SERIAL_PORT->data & 0xFFu) : -1;
}

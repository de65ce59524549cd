/* SPDX-License-Identifier: Apache-2.0 */
/* nRF52840: clock, flash cache, UART0. Names are those of Nordic's product specification. */
#include <stdint.h>

#include "cortex_m.h"
#include "platform.h"

#define TASKS_HFCLKSTART CORTEX_M_REGISTER(0x40000000u) /* CLOCK */
#define EVENTS_HFCLKSTARTED CORTEX_M_REGISTER(0x40000100u)
#define ICACHECNF CORTEX_M_REGISTER(0x4001E540u) /* NVMC */
#define OUTSET CORTEX_M_REGISTER(0x50000508u)    /* P0 */
#define PIN_CNF(pin) CORTEX_M_REGISTER(0x50000700u + 4u * (pin))

/* UART0, without DMA. */
#define TASKS_STARTRX CORTEX_M_REGISTER(0x40002000u)
#define TASKS_STARTTX CORTEX_M_REGISTER(0x40002008u)
#define EVENTS_RXDRDY CORTEX_M_REGISTER(0x40002108u)
#define EVENTS_TXDRDY CORTEX_M_REGISTER(0x4000211Cu)
#define ENABLE CORTEX_M_REGISTER(0x40002500u)
#define PSEL_TXD CORTEX_M_REGISTER(0x4000250Cu)
#define PSEL_RXD CORTEX_M_REGISTER(0x40002514u)
#define RXD CORTEX_M_REGISTER(0x40002518u)
#define TXD CORTEX_M_REGISTER(0x4000251Cu)
#define BAUDRATE CORTEX_M_REGISTER(0x40002524u)

enum { TRANSMIT_PIN = 6, RECEIVE_PIN = 8 }; /* P0.06 and P0.08: the kit's USB serial port */

static const uint32_t kOutput = 3u;           /* DIR output, INPUT disconnected */
static const uint32_t kInputWithPullUp = 12u; /* DIR input, INPUT connected, PULL up */
static const uint32_t kBaudRate = MICRONET_BITS_PER_SECOND == 9600 ? 0x00275000u : 0x01D7E000u;
static const uint32_t kEnabled = 4u;

/* The processor always has 64 MHz; from the crystal they are exact enough for a UART. */
static void StartClock(void) {
  ICACHECNF = 1u; /* CACHEEN */
  TASKS_HFCLKSTART = 1u;
  WaitForBits(&EVENTS_HFCLKSTARTED, 1u);
}

static void StartSerialLine(void) {
  OUTSET = 1u << TRANSMIT_PIN;
  PIN_CNF(TRANSMIT_PIN) = kOutput;
  PIN_CNF(RECEIVE_PIN) = kInputWithPullUp;
  PSEL_TXD = TRANSMIT_PIN;
  PSEL_RXD = RECEIVE_PIN;
  BAUDRATE = kBaudRate;
  ENABLE = kEnabled;
  TASKS_STARTRX = 1u;
  TASKS_STARTTX = 1u;
}

void BoardStart(void) {
  StartClock();
  StartSerialLine();
}

void PlatformWriteCharacter(uint8_t character) {
  EVENTS_TXDRDY = 0;
  TXD = character;
  while (EVENTS_TXDRDY == 0) {
  }
}

int PlatformReadCharacter(void) {
  if (EVENTS_RXDRDY == 0) return -1;
  EVENTS_RXDRDY = 0; /* before the reading, which may bring the next of six at once */
  return (int)(RXD & 0xFFu);
}

uint32_t PlatformCyclesPerSecond(void) { return 64000000u; }

/* All characters have been sent: PlatformWriteCharacter waits for them. */
void PlatformExit(int status) {
  (void)status;
  for (;;) __asm__ volatile("wfi");
}

/* The chip's 48 interrupts, of which the firmware uses none. */
__attribute__((section(".interrupt_vectors"), used)) void (*const interrupt_vectors[48])(void) = {
    [0 ... 47] = FaultHandler,
};

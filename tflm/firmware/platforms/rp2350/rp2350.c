/* SPDX-License-Identifier: Apache-2.0 */
/* RP2350: boot block, clocks, UART0. Names and sections are those of the RP2350 datasheet. The
 * flash stays as the boot ROM has set it up. */
#include <stdint.h>

#include "cortex_m.h"
#include "platform.h"

/* What the boot ROM looks for in the first 4 KB of the flash (5.9.5): a program for the Arm cores,
 * secure, whose vector table stands at the flash's begin. */
__attribute__((section(".image_definition"), used)) const uint32_t image_definition[5] = {
    0xFFFFDED3u, /* PICOBIN_BLOCK_MARKER_START */
    0x10210142u, /* PICOBIN_BLOCK_ITEM_1BS_IMAGE_TYPE, one word: EXE, secure, ARM, RP2350 */
    0x000001FFu, /* PICOBIN_BLOCK_ITEM_2BS_LAST, of one word */
    0x00000000u, /* distance to the next block: there is only this one */
    0xAB123579u, /* PICOBIN_BLOCK_MARKER_END */
};

#define CLK_REF_CTRL CORTEX_M_REGISTER(0x40010030u) /* CLOCKS */
#define CLK_REF_SELECTED CORTEX_M_REGISTER(0x40010038u)
#define CLK_SYS_CTRL CORTEX_M_REGISTER(0x4001003Cu)
#define CLK_SYS_SELECTED CORTEX_M_REGISTER(0x40010044u)
#define CLK_PERI_CTRL CORTEX_M_REGISTER(0x40010048u)
#define RESET CORTEX_M_REGISTER(0x40020000u) /* RESETS */
#define RESET_DONE CORTEX_M_REGISTER(0x40020008u)
#define GPIO_CTRL(pin) CORTEX_M_REGISTER(0x40028004u + 8u * (pin)) /* IO_BANK0 */
#define GPIO_PAD(pin) CORTEX_M_REGISTER(0x40038004u + 4u * (pin))  /* PADS_BANK0 */
#define XOSC_CTRL CORTEX_M_REGISTER(0x40048000u)
#define XOSC_STATUS CORTEX_M_REGISTER(0x40048004u)
#define XOSC_STARTUP CORTEX_M_REGISTER(0x4004800Cu)

typedef struct { /* PLL_SYS */
  volatile uint32_t CS, PWR, FBDIV_INT, PRIM;
} Pll;

typedef struct { /* UART0, a PL011 */
  volatile uint32_t DR, RSR, reserved_1[4], FR, reserved_2, ILPR, IBRD, FBRD, LCR_H, CR;
} Uart;

#define PLL_SYS ((Pll *)0x40050000u)
#define UART0 ((Uart *)0x40070000u)

/* Bits of RESET. */
static const uint32_t kIoBank0 = 1u << 6, kPadsBank0 = 1u << 9, kPllSys = 1u << 14,
                      kUart0 = 1u << 26;
/* Bits of UARTFR. */
static const uint32_t kBusy = 1u << 3, kReceiveEmpty = 1u << 4, kTransmitFull = 1u << 5;

enum { TRANSMIT_PIN = 0, RECEIVE_PIN = 1 };
enum { CRYSTAL_HERTZ = 12000000, PLL_HERTZ = 150000000 };
/* 64 times the UART's divider: UARTCLK / 16 / bits per second, rounded. */
enum { DIVIDER = (4 * CRYSTAL_HERTZ + MICRONET_BITS_PER_SECOND / 2) / MICRONET_BITS_PER_SECOND };

static uint32_t processor_hertz = CRYSTAL_HERTZ; /* until the PLL; of the ring oscillator, about */

static void EndReset(uint32_t blocks) {
  RESET &= ~blocks;
  WaitForBits(&RESET_DONE, blocks);
}

/* 150 MHz from the crystal of 12 MHz. If it does not swing, the processor keeps the ring oscillator
 * that it has started with, and the UART has no clock. */
static void StartClocks(void) {
  XOSC_STARTUP = 47u;                               /* 1 ms in units of 256 cycles */
  XOSC_CTRL = 0xFABu << 12 | 0xAA0u;                /* ENABLE, FREQ_RANGE 1 to 15 MHz */
  if (!WaitForBits(&XOSC_STATUS, 1u << 31)) return; /* STABLE */
  CLK_REF_CTRL = 2u;                                /* SRC: XOSC */
  WaitForBits(&CLK_REF_SELECTED, 1u << 2);
  EndReset(kPllSys);
  PLL_SYS->CS = 1u;                                 /* REFDIV */
  PLL_SYS->FBDIV_INT = 125u;                        /* 1500 MHz */
  PLL_SYS->PRIM = 5u << 16 | 2u << 12;              /* POSTDIV1, POSTDIV2: 150 MHz */
  PLL_SYS->PWR &= ~(1u << 0 | 1u << 5);             /* PD, VCOPD */
  if (!WaitForBits(&PLL_SYS->CS, 1u << 31)) return; /* LOCK */
  PLL_SYS->PWR &= ~(1u << 3);                       /* POSTDIVPD */
  CLK_SYS_CTRL = 1u;                                /* SRC: AUX, of which AUXSRC 0 is PLL_SYS */
  WaitForBits(&CLK_SYS_SELECTED, 1u << 1);
  processor_hertz = PLL_HERTZ;
}

static void StartSerialLine(void) {
  CLK_PERI_CTRL = 4u << 5;            /* AUXSRC: XOSC */
  CLK_PERI_CTRL = 4u << 5 | 1u << 11; /* ENABLE */
  EndReset(kIoBank0 | kPadsBank0 | kUart0);
  UART0->IBRD = DIVIDER / 64;
  UART0->FBRD = DIVIDER % 64;
  UART0->LCR_H = 3u << 5 | 1u << 4;        /* WLEN: 8 bits; FEN: 32 bytes are kept */
  UART0->CR = 1u << 0 | 1u << 8 | 1u << 9; /* UARTEN, TXE, RXE */
  for (uint32_t pin = TRANSMIT_PIN; pin <= RECEIVE_PIN; ++pin) {
    GPIO_CTRL(pin) = 2u;                                   /* FUNCSEL: UART */
    GPIO_PAD(pin) = 1u << 6 | 1u << 4 | 1u << 3 | 1u << 1; /* IE, 4 mA, PUE, SCHMITT; not ISO */
  }
}

void BoardStart(void) {
  StartClocks();
  StartSerialLine();
}

void PlatformWriteCharacter(uint8_t character) {
  while (UART0->FR & kTransmitFull) {
  }
  UART0->DR = character;
}

int PlatformReadCharacter(void) {
  return UART0->FR & kReceiveEmpty ? -1 : (int)(UART0->DR & 0xFFu);
}

uint32_t PlatformCyclesPerSecond(void) { return processor_hertz; }

/* There is nobody to tell. */
void PlatformExit(int status) {
  (void)status;
  while (UART0->FR & kBusy) {
  }
  for (;;) __asm__ volatile("wfi");
}

/* The chip's 52 interrupts, of which the firmware uses none. */
__attribute__((section(".interrupt_vectors"), used)) void (*const interrupt_vectors[52])(void) = {
    [0 ... 51] = FaultHandler,
};

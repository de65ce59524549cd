/* SPDX-License-Identifier: Apache-2.0 */
/* STM32H743: caches, clocks, flash, USART3. Names are those of ST's reference manual RM0433. */
#include <stdint.h>

#include "cortex_m.h"
#include "platform.h"

#define CCR CORTEX_M_REGISTER(0xE000ED14u) /* the processor's, ARMv7-M manual B4.3 */
#define CSSELR CORTEX_M_REGISTER(0xE000ED84u)
#define CCSIDR CORTEX_M_REGISTER(0xE000ED80u)
#define ICIALLU CORTEX_M_REGISTER(0xE000EF50u)
#define DCISW CORTEX_M_REGISTER(0xE000EF60u)
#define FLASH_ACR CORTEX_M_REGISTER(0x52002000u)
#define RCC_CR CORTEX_M_REGISTER(0x58024400u)
#define RCC_CFGR CORTEX_M_REGISTER(0x58024410u)
#define RCC_D1CFGR CORTEX_M_REGISTER(0x58024418u)
#define RCC_D2CFGR CORTEX_M_REGISTER(0x5802441Cu)
#define RCC_D3CFGR CORTEX_M_REGISTER(0x58024420u)
#define RCC_PLLCKSELR CORTEX_M_REGISTER(0x58024428u)
#define RCC_PLLCFGR CORTEX_M_REGISTER(0x5802442Cu)
#define RCC_PLL1DIVR CORTEX_M_REGISTER(0x58024430u)
#define RCC_AHB4ENR CORTEX_M_REGISTER(0x580244E0u)
#define RCC_APB1LENR CORTEX_M_REGISTER(0x580244E8u)
#define PWR_CSR1 CORTEX_M_REGISTER(0x58024804u)
#define PWR_CR3 CORTEX_M_REGISTER(0x5802480Cu)
#define PWR_D3CR CORTEX_M_REGISTER(0x58024818u)
#define GPIOD_MODER CORTEX_M_REGISTER(0x58020C00u)
#define GPIOD_PUPDR CORTEX_M_REGISTER(0x58020C0Cu)
#define GPIOD_AFRH CORTEX_M_REGISTER(0x58020C24u)

typedef struct {
  volatile uint32_t CR1, CR2, CR3, BRR, GTPR, RTOR, RQR, ISR, ICR, RDR, TDR;
} Usart;

#define USART3 ((Usart *)0x40004800u)

static const uint32_t kPllReady = 1u << 25; /* RCC_CR */
static const uint32_t kOverrun = 1u << 3, kReceived = 1u << 5, kSent = 1u << 6,
                      kTransmitterEmpty = 1u << 7; /* USART_ISR */

enum {
  HSI_HERTZ = 64000000,
  PLL_HERTZ = 400000000,
  APB1_HERTZ = 100000000,
  BITS_PER_SECOND = MICRONET_BITS_PER_SECOND,
};

static uint32_t processor_hertz = HSI_HERTZ;

/* After a reset they are off, and what they hold is anything. */
static void StartCaches(void) {
  ICIALLU = 0;
  CSSELR = 0; /* the data cache, level 1 */
  __asm__ volatile("dsb" ::: "memory");
  const uint32_t sets = (CCSIDR >> 13 & 0x7FFFu) + 1u, ways = 4; /* of lines of 32 bytes */
  for (uint32_t set = 0; set < sets; ++set) {
    for (uint32_t way = 0; way < ways; ++way) DCISW = way << 30 | set << 5;
  }
  __asm__ volatile("dsb\n\tisb" ::: "memory");
  CCR |= 1u << 17 | 1u << 16; /* IC, DC */
  __asm__ volatile("dsb\n\tisb" ::: "memory");
}

/* 400 MHz for the processor, 200 MHz for AXI, 100 MHz for the APBs, from the chip's own oscillator,
 * which every board has. Whatever does not come in time leaves the 64 MHz of the start. Returns the
 * frequency of APB1 in hertz. */
static uint32_t StartClocks(void) {
  PWR_CR3 = 1u << 2 | 1u << 1; /* SCUEN, LDOEN: the supply is the chip's own regulator */
  if (!WaitForBits(&PWR_CSR1, 1u << 13)) return HSI_HERTZ; /* ACTVOSRDY */
  PWR_D3CR = 3u << 14;                                     /* VOS: scale 1, for 400 MHz */
  if (!WaitForBits(&PWR_D3CR, 1u << 13)) return HSI_HERTZ; /* VOSRDY */
  FLASH_ACR = 2u << 4 | 2u;         /* WRHIGHFREQ, LATENCY: for 200 MHz at scale 1 */
  RCC_PLLCKSELR = 4u << 4;          /* DIVM1, from HSI: 16 MHz */
  RCC_PLLCFGR = 1u << 16 | 3u << 2; /* DIVP1EN; PLL1RGE: 8 to 16 MHz; VCO 192 to 836 MHz */
  RCC_PLL1DIVR = (2u - 1u) << 9 | (50u - 1u); /* DIVP1, DIVN1: 16 MHz * 50 / 2 */
  RCC_CR |= 1u << 24;                         /* PLL1ON */
  if (!WaitForBits(&RCC_CR, kPllReady)) return HSI_HERTZ;
  RCC_D1CFGR = 4u << 4 | 8u;      /* D1PPRE, HPRE: halves */
  RCC_D2CFGR = 4u << 8 | 4u << 4; /* D2PPRE2, D2PPRE1 */
  RCC_D3CFGR = 4u << 4;           /* D3PPRE */
  RCC_CFGR = 3u;                  /* SW: PLL1 */
  WaitForBits(&RCC_CFGR, 3u << 3);
  processor_hertz = PLL_HERTZ;
  return APB1_HERTZ;
}

/* PD8 is TX, PD9 is RX: alternate function 7; the Nucleo's USB serial port. */
static void StartSerialLine(uint32_t hertz) {
  RCC_AHB4ENR |= 1u << 3;   /* GPIODEN */
  RCC_APB1LENR |= 1u << 18; /* USART3EN */
  (void)RCC_APB1LENR;
  GPIOD_AFRH = (GPIOD_AFRH & ~0xFFu) | 0x77u;
  GPIOD_PUPDR = (GPIOD_PUPDR & ~(3u << 18)) | 1u << 18;
  GPIOD_MODER = (GPIOD_MODER & ~(15u << 16)) | 10u << 16;
  USART3->BRR = (hertz + BITS_PER_SECOND / 2) / BITS_PER_SECOND;
  USART3->CR1 = 1u << 3 | 1u << 2 | 1u << 0; /* TE, RE, UE */
}

void BoardStart(void) {
  StartCaches();
  StartSerialLine(StartClocks());
}

void PlatformWriteCharacter(uint8_t character) {
  while (!(USART3->ISR & kTransmitterEmpty)) {
  }
  USART3->TDR = character;
}

int PlatformReadCharacter(void) {
  const uint32_t status = USART3->ISR;
  if (status & kOverrun) USART3->ICR = kOverrun; /* else the receiver stays silent */
  return status & kReceived ? (int)(USART3->RDR & 0xFFu) : -1;
}

uint32_t PlatformCyclesPerSecond(void) { return processor_hertz; }

/* There is nobody to tell. */
void PlatformExit(int status) {
  (void)status;
  while (!(USART3->ISR & kSent)) {
  }
  for (;;) __asm__ volatile("wfi");
}

/* The chip's 150 interrupts, of which the firmware uses none. */
__attribute__((section(".interrupt_vectors"), used)) void (*const interrupt_vectors[150])(void) = {
    [0 ... 149] = FaultHandler,
};

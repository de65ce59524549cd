/* SPDX-License-Identifier: Apache-2.0 */
/* STM32F405: clocks, flash, USART1. Names and sections are those of ST's reference manual RM0090.
 */
#include <stdint.h>

#include "cortex_m.h"
#include "platform.h"

typedef struct { /* 7.3 */
  volatile uint32_t CR, PLLCFGR, CFGR, CIR;
  volatile uint32_t AHB1RSTR, AHB2RSTR, AHB3RSTR, reserved_1;
  volatile uint32_t APB1RSTR, APB2RSTR, reserved_2[2];
  volatile uint32_t AHB1ENR, AHB2ENR, AHB3ENR, reserved_3;
  volatile uint32_t APB1ENR, APB2ENR;
} ResetAndClockControl;

typedef struct { /* 8.4 */
  volatile uint32_t MODER, OTYPER, OSPEEDR, PUPDR, IDR, ODR, BSRR, LCKR, AFR[2];
} GeneralPurposePort;

typedef struct { /* 30.6 */
  volatile uint32_t SR, DR, BRR, CR1, CR2, CR3;
} Usart;

#define RCC ((ResetAndClockControl *)0x40023800u)
#define FLASH_ACR (*(volatile uint32_t *)0x40023C00u)
#define GPIOA ((GeneralPurposePort *)0x40020000u)
#define USART1 ((Usart *)0x40011000u)

/* RCC_CR */
static const uint32_t kHseOn = 1u << 16, kHseReady = 1u << 17;
static const uint32_t kPllOn = 1u << 24, kPllReady = 1u << 25;
/* RCC_PLLCFGR */
static const uint32_t kPllFromHse = 1u << 22;
/* RCC_CFGR */
static const uint32_t kSystemClockPll = 2u << 0;          /* SW */
static const uint32_t kSystemClockIsPll = 2u << 2;        /* SWS */
static const uint32_t kBusDividers = 5u << 10 | 4u << 13; /* PPRE1: 168 / 4, PPRE2: 168 / 2 MHz */
/* FLASH_ACR: 5 wait states, PRFTEN, ICEN, DCEN, as 168 MHz at 2.7 to 3.6 V need (3.5.1). */
static const uint32_t kFlashFast = 5u << 0 | 1u << 8 | 1u << 9 | 1u << 10;
/* USART */
static const uint32_t kReceived = 1u << 5, kSent = 1u << 6, kTransmitterEmpty = 1u << 7; /* SR */
static const uint32_t kUsartOn = 1u << 13 | 1u << 3 | 1u << 2; /* CR1: UE, TE, RE; 8N1 */

enum {
  HSE_MEGAHERTZ = 8,  /* the crystal; another board's may be another */
  HSI_MEGAHERTZ = 16, /* the oscillator within the chip, which it starts with */
  PLL_MEGAHERTZ = 168,
  BITS_PER_SECOND = MICRONET_BITS_PER_SECOND,
};

static uint32_t processor_hertz = HSI_MEGAHERTZ * 1000000u;

/* Of USART1's clock, which is that of APB2, rounded. */
static uint32_t BaudRate(uint32_t hertz) { return (hertz + BITS_PER_SECOND / 2) / BITS_PER_SECOND; }

/* 168 MHz from the crystal; from the chip's own oscillator, to a hundredth, if the crystal does not
 * swing; and if the PLL does not lock, either, as in QEMU, which has no RCC: 16 MHz. Never waits
 * for ever. Returns the frequency of APB2 in hertz. */
static uint32_t StartClocks(void) {
  FLASH_ACR = kFlashFast; /* before the clock: it is right for slower ones, too */
  RCC->CR |= kHseOn;
  const int has_crystal = WaitForBits(&RCC->CR, kHseReady);
  const uint32_t divider = has_crystal ? HSE_MEGAHERTZ : HSI_MEGAHERTZ; /* PLLM: 1 MHz */
  RCC->PLLCFGR = divider | 2 * PLL_MEGAHERTZ << 6 |                     /* PLLN: 336 MHz */
                 0u << 16 | /* PLLP: half of it for the processor */
                 7u << 24 | /* PLLQ: 48 MHz for USB */
                 (has_crystal ? kPllFromHse : 0u);
  RCC->CR |= kPllOn;
  if (!WaitForBits(&RCC->CR, kPllReady)) return HSI_MEGAHERTZ * 1000000u;
  RCC->CFGR = kBusDividers | kSystemClockPll;
  WaitForBits(&RCC->CFGR, kSystemClockIsPll);
  processor_hertz = PLL_MEGAHERTZ * 1000000u;
  return PLL_MEGAHERTZ / 2 * 1000000u;
}

/* PA9 is TX, PA10 is RX: alternate function 7 (datasheet, table 9). */
static void StartSerialLine(uint32_t hertz) {
  RCC->AHB1ENR |= 1u << 0; /* GPIOAEN */
  RCC->APB2ENR |= 1u << 4; /* USART1EN */
  (void)RCC->APB2ENR;      /* the clock is there two cycles later */
  GPIOA->AFR[1] = (GPIOA->AFR[1] & ~0xFF0u) | 0x770u;
  GPIOA->PUPDR = (GPIOA->PUPDR & ~(3u << 20)) | 1u << 20; /* RX without a cable is 1 */
  GPIOA->MODER = (GPIOA->MODER & ~(15u << 18)) | 10u << 18;
  USART1->BRR = BaudRate(hertz);
  USART1->CR1 = kUsartOn;
}

void BoardStart(void) { StartSerialLine(StartClocks()); }

void PlatformWriteCharacter(uint8_t character) {
  while (!(USART1->SR & kTransmitterEmpty)) {
  }
  USART1->DR = character;
}

int PlatformReadCharacter(void) {
  /* Reading SR and then DR clears an overrun, too, which else keeps the receiver silent. */
  return USART1->SR & kReceived ? (int)(USART1->DR & 0xFFu) : -1;
}

uint32_t PlatformCyclesPerSecond(void) {
#if defined(EMULATED_HERTZ)
  return EMULATED_HERTZ;
#else
  return processor_hertz;
#endif
}

/* There is nobody to tell. */
void PlatformExit(int status) {
  (void)status;
  while (!(USART1->SR & kSent)) {
  }
  for (;;) __asm__ volatile("wfi");
}

/* The chip's 82 interrupts (12.2), of which the firmware uses none. To handle one, such as USART1's
 * with number 37, put `[37] = YourHandler` in its place. */
__attribute__((section(".interrupt_vectors"), used)) void (*const interrupt_vectors[82])(void) = {
    [0 ... 81] = FaultHandler,
};

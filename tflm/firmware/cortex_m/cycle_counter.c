/* SPDX-License-Identifier: Apache-2.0 */
/* PlatformCycles from SysTick, the system timer that every Cortex-M has (ARMv7-M manual, B3.3). It
 * counts the processor's cycles. DWT->CYCCNT would, too, but Cortex-M0 and M23 have none, some
 * chips want a debugger for it, and in QEMU it stands still. QEMU counts ticks of its own time, not
 * cycles.
 *
 * An operating system that needs SysTick for itself counts cycles elsewhere. */
#include "cortex_m.h"
#include "platform.h"

#define SYST_CSR CORTEX_M_REGISTER(0xE000E010u)
#define SYST_RVR CORTEX_M_REGISTER(0xE000E014u)
#define SYST_CVR CORTEX_M_REGISTER(0xE000E018u)
#define ICSR CORTEX_M_REGISTER(0xE000ED04u)

static const uint32_t kLargestCount = 0xFFFFFFu; /* 24 bits, counting down */
static const uint32_t kEnable = 1u << 0 |        /* ENABLE */
                                1u << 1 |        /* TICKINT: an exception when it reaches 0 */
                                1u << 2;         /* CLKSOURCE: the processor's clock */
static const uint32_t kPending = 1u << 26;       /* PENDSTSET */

static volatile uint32_t wraps = 0;

/* The handler of SysTick: ten times a second at 168 MHz. */
void CycleCounterWrap(void) { ++wraps; }

void CycleCounterStart(void) {
  SYST_CSR = 0;
  SYST_RVR = kLargestCount;
  SYST_CVR = 0; /* any value clears it */
  SYST_CSR = kEnable;
}

/* What the timer has counted since it was 0, when the handler is called. */
static uint32_t CyclesSinceWrap(void) { return (0u - SYST_CVR) & kLargestCount; }

uint64_t PlatformCycles(void) {
  uint32_t masked;
  __asm__ volatile("mrs %0, primask\n\tcpsid i" : "=r"(masked)::"memory");
  uint32_t high = wraps;
  uint32_t low = CyclesSinceWrap();
  if (ICSR & kPending) { /* it wrapped, before or after the reading, and is not counted yet */
    ++high;
    low = CyclesSinceWrap();
  }
  __asm__ volatile("msr primask, %0" ::"r"(masked) : "memory");
  return (uint64_t)high << 24 | low;
}

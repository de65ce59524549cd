# SPDX-License-Identifier: Apache-2.0
# STM32F405 with a crystal of 8 MHz. QEMU emulates it as Netduino Plus 2, in version 7.2 without CCM,
# so that the arena must not lie there, and with a processor of 168 MHz whatever RCC says.
set(QEMU_MACHINE netduinoplus2)
set(QEMU_DEFINITIONS PLATFORM_ARENA_SECTION= EMULATED_HERTZ=168000000)
set(PLATFORM_PROCESSOR cortex-m4)
set(BOARD_SOURCES ${PLATFORM_FOLDER}/stm32f405.c)
set(STACK_SIZE 16K)
if(EMULATED_HERTZ)
  set(PLATFORM_DEFINITIONS EMULATED_HERTZ=${EMULATED_HERTZ}u)
endif()
include(${CORTEX_M_FOLDER}/cortex_m.cmake)

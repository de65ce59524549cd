# SPDX-License-Identifier: Apache-2.0
# STM32H743, pins as on the Nucleo-H743ZI. Compiled, never run.
set(PLATFORM_PROCESSOR cortex-m7)
set(BOARD_SOURCES ${PLATFORM_FOLDER}/stm32h743.c)
set(STACK_SIZE 16K)
include(${CORTEX_M_FOLDER}/cortex_m.cmake)

# SPDX-License-Identifier: Apache-2.0
# Nordic nRF52840, pins as on its development kit. Compiled, never run.
set(PLATFORM_PROCESSOR cortex-m4)
set(BOARD_SOURCES ${PLATFORM_FOLDER}/nrf52840.c)
set(STACK_SIZE 16K)
include(${CORTEX_M_FOLDER}/cortex_m.cmake)

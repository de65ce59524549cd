# SPDX-License-Identifier: Apache-2.0
# Raspberry Pi RP2350 on a Pico 2, its Cortex-M33. Compiled, never run.
set(PLATFORM_PROCESSOR cortex-m33)
set(BOARD_SOURCES ${PLATFORM_FOLDER}/rp2350.c)
set(STACK_SIZE 16K)
include(${CORTEX_M_FOLDER}/cortex_m.cmake)

# SPDX-License-Identifier: Apache-2.0
# Arm MPS3 board with the AN547 image, emulated by QEMU.
set(QEMU_MACHINE mps3-an547)
set(PLATFORM_PROCESSOR cortex-m55)
set(BOARD_SOURCES instruction_counter_sse300.c memory_protection_v8.c)
set(SERIAL_PORT_ADDRESS 0x59303000u)
include(${EMULATED_FOLDER}/emulated.cmake)

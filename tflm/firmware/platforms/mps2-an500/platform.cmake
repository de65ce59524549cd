# SPDX-License-Identifier: Apache-2.0
# Arm MPS2 board with the AN500 image, emulated by QEMU.
set(QEMU_MACHINE mps2-an500)
set(PLATFORM_PROCESSOR cortex-m7)
set(BOARD_SOURCES instruction_counter_cmsdk.c memory_protection_v7.c)
set(SERIAL_PORT_ADDRESS 0x40004000u)
include(${EMULATED_FOLDER}/emulated.cmake)

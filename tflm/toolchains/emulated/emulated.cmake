# SPDX-License-Identifier: Apache-2.0
# What the platform.cmake of every emulated board says, once it has set
#   PLATFORM_PROCESSOR     the compiler's name of the processor
#   BOARD_SOURCES          the drivers, of those in this folder, that not all boards have
#   SERIAL_PORT_ADDRESS    where the first serial port is
# The board's folder has the linker script, too: board.ld. `emulator.py` reads the same three.
set(PLATFORM_TOOLCHAIN_FILE ${CMAKE_CURRENT_SOURCE_DIR}/toolchains/arm-none-eabi.cmake)
set(PLATFORM_SOURCES startup.c host.c instruction_counter.c serial_port.c emulated_platform.c
    ${BOARD_SOURCES})
list(TRANSFORM PLATFORM_SOURCES PREPEND ${EMULATED_FOLDER}/)
set(PLATFORM_DEFINITIONS SERIAL_PORT_ADDRESS=${SERIAL_PORT_ADDRESS})
set(PLATFORM_LINK_OPTIONS -nostartfiles -Wl,--gc-sections -Wl,--fatal-warnings
    -L ${EMULATED_FOLDER} -T ${PLATFORM_FOLDER}/board.ld)
set(PLATFORM_LINKER_SCRIPTS ${PLATFORM_FOLDER}/board.ld ${EMULATED_FOLDER}/sections.ld)

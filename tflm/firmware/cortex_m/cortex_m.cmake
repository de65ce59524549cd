# SPDX-License-Identifier: Apache-2.0
# What the platform.cmake of every board with a Cortex-M processor says, once it has set
#   PLATFORM_PROCESSOR   the compiler's name of the processor
#   BOARD_SOURCES        the board's own sources, absolute paths
#   STACK_SIZE           bytes
# The board's folder has the linker script, too: board.ld. With -DPLATFORM_ARENA_SECTION= (empty) the
# arena lies in DATA like any variable.
set(PLATFORM_TOOLCHAIN_FILE ${CMAKE_CURRENT_SOURCE_DIR}/toolchains/arm-none-eabi.cmake)
set(PLATFORM_SOURCES startup.c faults.c cycle_counter.c)
list(TRANSFORM PLATFORM_SOURCES PREPEND ${CORTEX_M_FOLDER}/)
list(APPEND PLATFORM_SOURCES ${BOARD_SOURCES})
if(NOT DEFINED PLATFORM_ARENA_SECTION)
  set(PLATFORM_ARENA_SECTION .micronet_arena)
endif()
set(PLATFORM_LINK_OPTIONS -nostartfiles -Wl,--gc-sections -Wl,--fatal-warnings
    -Wl,--enable-non-contiguous-regions -Wl,--defsym=STACK_SIZE=${STACK_SIZE}
    -L ${CORTEX_M_FOLDER} -T ${PLATFORM_FOLDER}/board.ld)
set(PLATFORM_LINKER_SCRIPTS ${PLATFORM_FOLDER}/board.ld ${CORTEX_M_FOLDER}/sections.ld)
include_directories(${CORTEX_M_FOLDER})

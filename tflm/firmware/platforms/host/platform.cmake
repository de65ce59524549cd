# SPDX-License-Identifier: Apache-2.0
# This computer: the serial line is its standard input and output.
set(PLATFORM_SOURCES ${CMAKE_CURRENT_LIST_DIR}/host_platform.c)
set(PLATFORM_DEFINITIONS _POSIX_C_SOURCE=200809L)

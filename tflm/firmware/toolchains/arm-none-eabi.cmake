# SPDX-License-Identifier: Apache-2.0
# Arm's compiler for processors without an operating system. The platform tells the processor, and in
# PLATFORM_FLOAT_ABI how floating-point numbers are computed and passed: hard (in the unit's
# registers, the default), softfp (computed by the unit, passed in others) or soft (without a unit).
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR ${PLATFORM_PROCESSOR})
if(NOT DEFINED PLATFORM_FLOAT_ABI)
  set(PLATFORM_FLOAT_ABI hard)
endif()
if(NOT PLATFORM_FLOAT_ABI MATCHES "^(soft|softfp|hard)$")
  message(FATAL_ERROR "PLATFORM_FLOAT_ABI must be soft, softfp or hard. \
Received: '${PLATFORM_FLOAT_ABI}'")
endif()
if(PLATFORM_PROCESSOR MATCHES "^cortex-m(0|0plus|1|3|23)([.]|$)|[+]nofp" AND
   NOT PLATFORM_FLOAT_ABI STREQUAL "soft")
  message(FATAL_ERROR "PLATFORM_FLOAT_ABI must be soft for ${PLATFORM_PROCESSOR}, which has no \
floating-point unit: set it in platform.cmake, or by -DPLATFORM_FLOAT_ABI=soft. \
Received: '${PLATFORM_FLOAT_ABI}'")
endif()
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_CXX_COMPILER arm-none-eabi-g++)
set(CMAKE_C_FLAGS_INIT "-mcpu=${PLATFORM_PROCESSOR} -mthumb -mfloat-abi=${PLATFORM_FLOAT_ABI}")
set(CMAKE_CXX_FLAGS_INIT "${CMAKE_C_FLAGS_INIT}")
set(CMAKE_EXECUTABLE_SUFFIX_C .elf)
set(CMAKE_EXECUTABLE_SUFFIX_CXX .elf)
# CMake's trial of the compiler has no start-up code to link with, and must know the processor.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES PLATFORM_PROCESSOR PLATFORM_FLOAT_ABI)

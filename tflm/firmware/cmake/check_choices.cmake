# SPDX-License-Identifier: Apache-2.0
# Stops unless the choices of the command line are possible. Sets PLATFORMS_FOLDER, CORTEX_M_FOLDER
# and EMULATED_FOLDER (what chips, and what emulated boards share) and, of the chosen platform,
# PLATFORM_FOLDER.
set(PLATFORMS_FOLDER ${CMAKE_CURRENT_SOURCE_DIR}/platforms)
set(CORTEX_M_FOLDER ${CMAKE_CURRENT_SOURCE_DIR}/cortex_m)
set(EMULATED_FOLDER ${CMAKE_CURRENT_SOURCE_DIR}/../toolchains/emulated)

function(check_choice name)
  if(NOT "${${name}}" IN_LIST ARGN)
    list(JOIN ARGN " or " choices)
    refuse("${name} must be ${choices}." "'${${name}}'")
  endif()
endfunction()

function(check_number name most)
  if(NOT "${${name}}" MATCHES "^[1-9][0-9]*$" OR "${${name}}" GREATER ${most})
    refuse("${name} must be an integer from 1 to ${most}." "'${${name}}'")
  endif()
endfunction()

function(find_platform)
  file(GLOB known RELATIVE ${PLATFORMS_FOLDER} ${PLATFORMS_FOLDER}/*/platform.cmake)
  list(TRANSFORM known REPLACE "/platform.cmake$" "")
  if("${PLATFORM}" IN_LIST known)
    set(folder ${PLATFORMS_FOLDER}/${PLATFORM})
  elseif(IS_ABSOLUTE "${PLATFORM}" AND EXISTS "${PLATFORM}/platform.cmake")
    set(folder ${PLATFORM})
  else()
    list(JOIN known ", " names)
    refuse("PLATFORM must be one of ${names}, or the absolute path of a folder with platform.cmake."
           "'${PLATFORM}'")
  endif()
  set(PLATFORM_FOLDER ${folder} PARENT_SCOPE)
endfunction()

# CMake chooses the compiler once for each build folder.
function(check_build_folder)
  if(DEFINED BUILD_FOLDER_PLATFORM AND NOT BUILD_FOLDER_PLATFORM STREQUAL PLATFORM)
    refuse("A build folder must keep its PLATFORM, '${BUILD_FOLDER_PLATFORM}'." "'${PLATFORM}'")
  endif()
  set(BUILD_FOLDER_PLATFORM ${PLATFORM} CACHE INTERNAL "PLATFORM of this build folder")
endfunction()

function(check_provider)
  if(APPLICATION STREQUAL "mlperf-tiny" AND NOT PROVIDER STREQUAL "serial")
    refuse("PROVIDER must be serial for APPLICATION=mlperf-tiny: the benchmark sends the images."
           "'${PROVIDER}'")
  endif()
  if("${PROVIDER}" STREQUAL "serial" OR "${PROVIDER}" STREQUAL "test_vectors")
    return()
  endif()
  set(sources)
  if(IS_ABSOLUTE "${PROVIDER}")
    file(GLOB sources "${PROVIDER}/provider.cmake" "${PROVIDER}/*.c" "${PROVIDER}/*.cc")
  endif()
  if(NOT sources)
    refuse("PROVIDER must be serial or test_vectors, or the absolute path of a folder with \
provider.cmake, or with *.c and *.cc that define the functions of image_provider.h."
           "'${PROVIDER}'")
  endif()
endfunction()

function(check_model)
  if(NOT EXISTS "${MODEL}/src/model_settings.h")
    refuse("MODEL must be a folder that python -m tflm has written, with src/model_settings.h."
           "'${MODEL}'")
  endif()
  if(RUNTIME STREQUAL "static" AND NOT EXISTS "${MODEL}/src/micronet_model.h")
    refuse("MODEL must be exported with --runtime static for RUNTIME=static."
           "'${MODEL}', without src/micronet_model.h")
  endif()
  if(RUNTIME STREQUAL "static" AND NOT EXISTS "${MODEL}/src/micronet_model_rows.h")
    refuse("With RUNTIME=static the model must begin with a stem, which takes images row by row."
           "'${MODEL}', without src/micronet_model_rows.h")
  endif()
  if(PROVIDER STREQUAL "test_vectors" AND NOT EXISTS "${MODEL}/test/test_vectors.h")
    refuse("MODEL must have test vectors for PROVIDER=test_vectors."
           "'${MODEL}', without test/test_vectors.h")
  endif()
endfunction()

check_choice(RUNTIME static tflm)
check_choice(APPLICATION camera mlperf-tiny)
check_choice(BITS_PER_SECOND 115200 9600)
check_provider()
check_number(LARGEST_SHRINK 16)
if(NOT "${ARENA_BYTES}" STREQUAL "")
  check_number(ARENA_BYTES 2147483647)
endif()
find_platform()
check_build_folder()
check_model()

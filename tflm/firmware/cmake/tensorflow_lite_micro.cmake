# SPDX-License-Identifier: Apache-2.0
# TensorFlow Lite Micro for recognizer_tflm.cc: a source tree in which its own build has been run.
#
# Takes
#   MODEL                   folder that `python -m tflm` has written
#   TFLM_ROOT               root of TensorFlow Lite Micro's source tree
#   TFLM_LIBRARY            path of its static library; needed only if the tree holds none or
#                           several for the processor
#   CMAKE_SYSTEM_PROCESSOR  the compiler's name of the processor
# Makes
#   tensorflow_lite_micro   to link to: include folders, definitions and the library
#   TENSORFLOW_LITE_MICRO_MODEL_SOURCES
#                           the model, its kernels and the library's log, to be compiled along
# and stops with a message if anything is missing.

set(TFLM_ROOT "" CACHE PATH "Root of TensorFlow Lite Micro's source tree")
set(TFLM_LIBRARY "" CACHE FILEPATH "TensorFlow Lite Micro's static library")

set(_tflm_library_name "libtensorflow-microlite.a")
if(CMAKE_CROSSCOMPILING)
  set(_tflm_documentation "tensorflow/lite/micro/cortex_m_generic/README.md")
  # Processors whose floating-point unit the library's build uses only if its architecture has an
  # addition. The two must agree on how numbers are passed.
  set(_tflm_architecture "${CMAKE_SYSTEM_PROCESSOR}")
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^cortex-m[47]$" AND PLATFORM_FLOAT_ABI STREQUAL "hard")
    string(APPEND _tflm_architecture "+fp")
  endif()
  set(_tflm_target "cortex_m_generic")
else()
  set(_tflm_documentation "tensorflow/lite/micro/docs/new_platform_support.md")
  string(TOLOWER "${CMAKE_SYSTEM_NAME}" _tflm_target)
  set(_tflm_architecture "${CMAKE_SYSTEM_PROCESSOR}")
endif()
set(_tflm_how "Its documentation says how: ${_tflm_documentation} in its tree, for \
TARGET=${_tflm_target} and TARGET_ARCH=${_tflm_architecture}.")

# Stops unless the folder of the model has `name`.
function(_tflm_require_model_file name)
  if(EXISTS "${MODEL}/${name}")
    return()
  endif()
  set(reason "no ${name}")
  if(EXISTS "${MODEL}/src/micronet_model.h")
    set(reason "an export of the static runtime, which has no ${name}")
  endif()
  message(FATAL_ERROR "With RUNTIME=tflm, MODEL must be a folder that `python -m tflm` has written \
with --runtime tflm. Received: MODEL=${MODEL} with ${reason}")
endfunction()

function(_tflm_require_root)
  if(TFLM_ROOT STREQUAL "")
    message(FATAL_ERROR "With RUNTIME=tflm, TFLM_ROOT must be the root of TensorFlow Lite Micro's \
source tree in which its library has been built. Received: no TFLM_ROOT. ${_tflm_how}")
  endif()
  if(NOT EXISTS "${TFLM_ROOT}/tensorflow/lite/micro/micro_interpreter.h")
    message(FATAL_ERROR "TFLM_ROOT must be the root of TensorFlow Lite Micro's source tree. \
Received: TFLM_ROOT=${TFLM_ROOT} without tensorflow/lite/micro/micro_interpreter.h")
  endif()
endfunction()

# Sets `variable` to the first include folder among the other arguments that has `header`.
function(_tflm_find_include_folder variable header)
  foreach(folder ${ARGN})
    if(EXISTS "${TFLM_ROOT}/${folder}/${header}")
      set(${variable} "${TFLM_ROOT}/${folder}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  list(JOIN ARGN ", " folders)
  message(FATAL_ERROR "TFLM_ROOT must hold what the build of TensorFlow Lite Micro's library \
downloads. Received: TFLM_ROOT=${TFLM_ROOT} without ${header} in ${folders}. ${_tflm_how}")
endfunction()

# Sets `variable` to the path of the library.
function(_tflm_find_library variable)
  if(NOT TFLM_LIBRARY STREQUAL "")
    if(NOT EXISTS "${TFLM_LIBRARY}" OR IS_DIRECTORY "${TFLM_LIBRARY}")
      message(FATAL_ERROR "TFLM_LIBRARY must be the path of TensorFlow Lite Micro's static \
library. Received: TFLM_LIBRARY=${TFLM_LIBRARY}, which is no file")
    endif()
    set(${variable} "${TFLM_LIBRARY}" PARENT_SCOPE)
    return()
  endif()
  # The folder's name goes on with the kind of build and, if any, the folder of faster kernels.
  set(pattern "gen/${_tflm_target}_${_tflm_architecture}_*/lib/${_tflm_library_name}")
  file(GLOB libraries "${TFLM_ROOT}/${pattern}")
  list(LENGTH libraries count)
  if(count EQUAL 0)
    message(FATAL_ERROR "TFLM_ROOT must hold TensorFlow Lite Micro's static library for the \
platform, or TFLM_LIBRARY be its path. Received: TFLM_ROOT=${TFLM_ROOT} without ${pattern}. \
${_tflm_how}")
  elseif(count GREATER 1)
    list(JOIN libraries ", " names)
    message(FATAL_ERROR "TFLM_LIBRARY must be the path of one of the libraries if TFLM_ROOT holds \
several for the platform. Received: no TFLM_LIBRARY, and ${names}")
  endif()
  set(${variable} "${libraries}" PARENT_SCOPE)
endfunction()

# Sets `variable` to whether the library's list of symbols has one that `expression` matches.
function(_tflm_library_mentions variable library expression)
  file(STRINGS "${library}" lines LIMIT_COUNT 1 REGEX "${expression}")
  string(COMPARE NOTEQUAL "${lines}" "" found)
  set(${variable} ${found} PARENT_SCOPE)
endfunction()

# Sets `variable` to the definitions with which the library was compiled, where headers depend on
# them: the layout of its structures and what its functions of logging are.
function(_tflm_find_definitions variable library)
  _tflm_library_mentions(has_interpreter "${library}" "MicroInterpreter")
  if(NOT has_interpreter)
    message(FATAL_ERROR "TFLM_LIBRARY must be TensorFlow Lite Micro's static library. Received: \
${library}, which has no MicroInterpreter")
  endif()
  _tflm_library_mentions(has_heap "${library}" "TfLiteIntArrayCreate")
  if(has_heap)
    message(FATAL_ERROR "TensorFlow Lite Micro's library must be compiled with \
TF_LITE_STATIC_MEMORY, as it is unless BUILD_TYPE=no_tf_lite_static_memory. Received: ${library}, \
which has TfLiteIntArrayCreate")
  endif()
  set(definitions TF_LITE_STATIC_MEMORY)
  _tflm_library_mentions(has_messages "${library}" "MicroPrintf")
  if(NOT has_messages)
    list(APPEND definitions TF_LITE_STRIP_ERROR_STRINGS)  # BUILD_TYPE=release
  endif()
  if(CMAKE_CROSSCOMPILING)
    list(APPEND definitions TF_LITE_MCU_DEBUG_LOG)  # stops without the C library's abort
  endif()
  set(${variable} ${definitions} PARENT_SCOPE)
endfunction()

foreach(_name src/model_data.h src/op_resolver.h src/model_settings.h)
  _tflm_require_model_file(${_name})
endforeach()
_tflm_require_root()
set(_tflm_downloads "tensorflow/lite/micro/tools/make/downloads")
_tflm_find_include_folder(_tflm_flatbuffers "flatbuffers/flatbuffers.h"
  "${_tflm_downloads}/flatbuffers/include" "third_party/flatbuffers/include")
_tflm_find_include_folder(_tflm_gemmlowp "fixedpoint/fixedpoint.h"
  "${_tflm_downloads}/gemmlowp" "third_party/gemmlowp")
_tflm_find_include_folder(_tflm_ruy "ruy/profiler/instrumentation.h"
  "${_tflm_downloads}/ruy" "third_party/ruy")
_tflm_find_library(_tflm_library)
_tflm_find_definitions(_tflm_definitions "${_tflm_library}")
message(STATUS "TensorFlow Lite Micro: ${_tflm_library}")

add_library(tensorflow_lite_micro STATIC IMPORTED)
set_target_properties(tensorflow_lite_micro PROPERTIES
  IMPORTED_LOCATION "${_tflm_library}"
  INTERFACE_COMPILE_DEFINITIONS "${_tflm_definitions}"
  # Of an imported target they are system folders: their headers' warnings are not ours.
  INTERFACE_INCLUDE_DIRECTORIES
    "${TFLM_ROOT};${_tflm_flatbuffers};${_tflm_gemmlowp};${_tflm_ruy}")

file(GLOB _tflm_model_sources CONFIGURE_DEPENDS "${MODEL}/src/*.c" "${MODEL}/src/*.cc"
  "${MODEL}/src/kernels/*.c" "${MODEL}/src/kernels/*.cc")
set(TENSORFLOW_LITE_MICRO_MODEL_SOURCES
  ${_tflm_model_sources}
  "${CMAKE_CURRENT_LIST_DIR}/../app/tensorflow_lite_micro_log.cc")

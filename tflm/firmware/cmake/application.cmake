# SPDX-License-Identifier: Apache-2.0
# Adds to the target `firmware` what APPLICATION does: it defines the functions of
# app/main_functions.h and app/error_responder.h.

# MODEL_TASK: classify, detect, segment or keypoints. ANSWER: what says the answers, of
# app/answer_*.cc and app/expected_answer_*.cc.
set(MODEL_TASK classify)
if(EXISTS ${MODEL}/src/model_recognition.h)
  file(STRINGS ${MODEL}/src/model_recognition.h MODEL_TASK REGEX "^#define MICRONET_MODEL_TASK_")
  string(REGEX REPLACE "^#define MICRONET_MODEL_TASK_([A-Z]+).*$" "\\1" MODEL_TASK "${MODEL_TASK}")
  string(TOLOWER "${MODEL_TASK}" MODEL_TASK)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${MODEL}/src/model_recognition.h)
endif()
if(MODEL_TASK STREQUAL "detect" OR MODEL_TASK STREQUAL "keypoints")
  set(ANSWER objects)
else()
  set(ANSWER ${MODEL_TASK})
endif()
set(ANSWER_SOURCES_classify)
set(ANSWER_SOURCES_detect app/grid_task.cc app/found_objects_detect.cc)
set(ANSWER_SOURCES_keypoints app/grid_task.cc app/found_objects_keypoints.cc)
set(ANSWER_SOURCES_segment app/grid_task.cc app/class_map.cc)

if(APPLICATION STREQUAL "camera")
  get_filename_component(CAMERA_FOLDER ../camera/source ABSOLUTE)
  target_sources(firmware PRIVATE
    app/main_functions.cc
    app/recognition_responder.cc
    app/answer_${ANSWER}.cc
    ${ANSWER_SOURCES_${MODEL_TASK}}
    app/serial_packets.cc
    ${CAMERA_FOLDER}/micronet_image_resizer.c)
  target_include_directories(firmware PRIVATE ${CAMERA_FOLDER})
  include(cmake/provider.cmake)
else()
  if(NOT MODEL_TASK STREQUAL "classify")
    refuse("MODEL must be one of classes for APPLICATION=mlperf-tiny."
           "'${MODEL}', whose task is ${MODEL_TASK}")
  endif()
  get_filename_component(RECOGNITION_FOLDER ../recognition/source ABSOLUTE)
  target_sources(firmware PRIVATE
    mlperf_tiny/main_functions.cc
    mlperf_tiny/benchmark_responder.cc
    mlperf_tiny/command_receiver.cc
    mlperf_tiny/commands.cc
    mlperf_tiny/inference.cc
    mlperf_tiny/input_data.cc
    mlperf_tiny/words.cc
    ${RECOGNITION_FOLDER}/micronet_argmax.c
    ${RECOGNITION_FOLDER}/micronet_probabilities.c)
  target_include_directories(firmware PRIVATE ${RECOGNITION_FOLDER})
endif()

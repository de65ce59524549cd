# SPDX-License-Identifier: Apache-2.0
# Adds to the target `firmware` what APPLICATION does: it defines the functions of
# app/main_functions.h and app/error_responder.h.
if(APPLICATION STREQUAL "camera")
  get_filename_component(CAMERA_FOLDER ../camera/source ABSOLUTE)
  target_sources(firmware PRIVATE
    app/main_functions.cc
    app/recognition_responder.cc
    app/serial_packets.cc
    ${CAMERA_FOLDER}/micronet_image_resizer.c)
  target_include_directories(firmware PRIVATE ${CAMERA_FOLDER})
  include(cmake/provider.cmake)
else()
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

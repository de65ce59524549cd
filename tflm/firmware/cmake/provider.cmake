# SPDX-License-Identifier: Apache-2.0
# Adds to the target `firmware` what defines the functions of app/image_provider.h.
#
# PROVIDER is the name of one of app/image_provider_*.cc, or the absolute path of a folder. Of such a
# folder all *.c and *.cc are compiled, unless it has a provider.cmake, which is included instead: it
# sets PROVIDER_SOURCES (absolute paths; PROVIDER_FOLDER is the folder's) and may add to the target
# what else is needed, as by target_link_libraries(firmware PRIVATE ...).

if(NOT IS_ABSOLUTE "${PROVIDER}")
  set(PROVIDER_SOURCES app/image_provider_${PROVIDER}.cc)
  if(PROVIDER STREQUAL "test_vectors")
    file(GLOB TEST_VECTORS CONFIGURE_DEPENDS ${MODEL}/test/*_test_vectors.c)
    list(APPEND PROVIDER_SOURCES ${TEST_VECTORS} app/expected_answer_${ANSWER}.cc)
  endif()
else()
  set(PROVIDER_FOLDER "${PROVIDER}")
  target_include_directories(firmware PRIVATE ${PROVIDER_FOLDER})
  if(EXISTS "${PROVIDER_FOLDER}/provider.cmake")
    unset(PROVIDER_SOURCES)
    include(${PROVIDER_FOLDER}/provider.cmake)
    if(NOT PROVIDER_SOURCES)
      refuse("provider.cmake must set PROVIDER_SOURCES to the paths of what defines the functions \
of image_provider.h." "none, in '${PROVIDER_FOLDER}/provider.cmake'")
    endif()
  else()
    file(GLOB PROVIDER_SOURCES CONFIGURE_DEPENDS ${PROVIDER_FOLDER}/*.c ${PROVIDER_FOLDER}/*.cc)
  endif()
endif()
target_sources(firmware PRIVATE ${PROVIDER_SOURCES})

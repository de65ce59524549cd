# SPDX-License-Identifier: 0BSD
# find_package(@LIBRARY@ REQUIRED), with this folder in CMAKE_PREFIX_PATH or as @LIBRARY@_DIR:
# target @LIBRARY@::@LIBRARY@, built from its sources for the project's processor.
if(NOT TARGET @LIBRARY@)
  add_subdirectory(${CMAKE_CURRENT_LIST_DIR} ${CMAKE_BINARY_DIR}/@LIBRARY@)
endif()

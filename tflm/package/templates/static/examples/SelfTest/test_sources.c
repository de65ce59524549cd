/* SPDX-License-Identifier: 0BSD */
/* Arduino compiles what lies in src and in the sketch: this brings the folder test to the sketch. */
#include <../test/@LIBRARY@_self_test.c>
#include <../test/@LIBRARY@_test_vectors.c>

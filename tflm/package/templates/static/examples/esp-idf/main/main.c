/* SPDX-License-Identifier: 0BSD */
/* ESP-IDF wants a component's sources in the component's folder. */
#include "../../selftest.c"

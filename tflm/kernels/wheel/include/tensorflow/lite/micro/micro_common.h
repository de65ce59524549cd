/* SPDX-License-Identifier: Apache-2.0 */
#include "tensorflow/lite/micro/kernels/kernel_util.h"  // has it all

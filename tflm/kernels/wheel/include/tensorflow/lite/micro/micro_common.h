#include "tensorflow/lite/micro/kernels/kernel_util.h"  // has it all

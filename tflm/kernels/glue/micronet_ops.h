// SPDX-License-Identifier: Apache-2.0
// The fused operators for TensorFlow Lite Micro. An application registers those of its model:
//
//   resolver.AddCustom("MICRONET_RESIDUAL_ADD_S8", micronet::Register_MICRONET_RESIDUAL_ADD_S8());
#ifndef MICRONET_OPS_H
#define MICRONET_OPS_H

#include "tensorflow/lite/micro/micro_common.h"

namespace tflite {
namespace micro {
namespace micronet_kernels {

const TFLMRegistration *Register_MICRONET_DENSE_S4();
const TFLMRegistration *Register_MICRONET_DENSE_S8();
const TFLMRegistration *Register_MICRONET_DYNAMIC_SHIFT_MAX_S8();
const TFLMRegistration *Register_MICRONET_FACTORIZED_DEPTHWISE_CONV_S8();
const TFLMRegistration *Register_MICRONET_FACTORIZED_STEM_S8();
const TFLMRegistration *Register_MICRONET_GLOBAL_AVERAGE_POOL_S8();
const TFLMRegistration *Register_MICRONET_GROUPED_POINTWISE_CONV_S8();
const TFLMRegistration *Register_MICRONET_RESIDUAL_ADD_S8();

}  // namespace micronet_kernels
}  // namespace micro
}  // namespace tflite

namespace micronet {
using namespace tflite::micro::micronet_kernels;
}

#endif

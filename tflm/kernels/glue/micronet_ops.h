// SPDX-License-Identifier: Apache-2.0
// The fused operators for TensorFlow Lite Micro. An application declares and registers those of its
// model, as op_resolver.h does:
//
//   MICRONET_DECLARE_OPERATOR(MICRONET_RESIDUAL_ADD_S8);
//   resolver.AddCustom("MICRONET_RESIDUAL_ADD_S8", micronet::Register_MICRONET_RESIDUAL_ADD_S8());
#ifndef MICRONET_OPS_H
#define MICRONET_OPS_H

#include "tensorflow/lite/micro/micro_common.h"

// Outside of namespaces. Declares the function that registers the operator KIND.
#define MICRONET_DECLARE_OPERATOR(KIND)                   \
  namespace tflite {                                      \
  namespace micro {                                       \
  namespace micronet_kernels {                            \
  const TFLMRegistration *Register_##KIND();              \
  }                                                       \
  }                                                       \
  }                                                       \
  namespace micronet {                                    \
  using tflite::micro::micronet_kernels::Register_##KIND; \
  }                                                       \
  static_assert(true, "") /* so that a semicolon follows */

#endif

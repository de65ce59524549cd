/* SPDX-License-Identifier: Apache-2.0 */
#include "micronet_optimize.h"

#include "micronet_smoothing.h"

MICRONET_SHARED void micronet_smoothing_begin(micronet_smoothing *smoothing,
                                              const micronet_smoothing_settings *settings,
                                              uint32_t *averages) {
  smoothing->settings = settings;
  smoothing->averages = averages;
  smoothing->answer = MICRONET_NONE_OF_THESE;
  smoothing->probability = 0;
  smoothing->held = 0;
  for (int32_t i = 0; i < settings->count; ++i) averages[i] = 0;
}

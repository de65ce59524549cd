# SPDX-License-Identifier: Apache-2.0
"""From a trained Keras model to int8 sources for TensorFlow Lite Micro."""

"""From a trained Keras model to int8 sources for TensorFlow Lite Micro."""

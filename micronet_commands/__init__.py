# SPDX-License-Identifier: Apache-2.0
"""What the commands of `training` and `tflm` have in common: how they start, and what they print.

It is a package of its own because nothing here may import Keras, as `keras_micronet` does:
`--help`, a typing error and a missing extra are answered before that.
"""

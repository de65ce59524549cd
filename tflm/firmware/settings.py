# SPDX-License-Identifier: Apache-2.0
"""What can be chosen for `python -m tflm.firmware`. Nothing that takes time is imported."""

ANSWER_SECONDS = 30.0  # of real time until a device that does not answer counts as silent
MOST_SECONDS = 600.0  # for an image; one of a megapixel takes half of it at 115,200 bits a second
LINE_SPEEDS = (115_200, 9600)  # bits a second
MOST_BYTES = 1 << 22  # that a device writes for an image; the tallest takes a fifth of them

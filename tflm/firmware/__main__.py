# SPDX-License-Identifier: Apache-2.0
"""Entry point of `python -m tflm.firmware`."""

import sys

from tflm.firmware.command_line import main

sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""Entry point of `python -m tflm.cycles`."""

import sys

from tflm.cycles.command_line import main

sys.exit(main())

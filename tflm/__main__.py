# SPDX-License-Identifier: Apache-2.0
"""Entry point of `python -m tflm`."""

import sys

from tflm.command_line import main

sys.exit(main())

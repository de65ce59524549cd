# SPDX-License-Identifier: Apache-2.0
"""`python -m training`."""

import sys

from training import command_line

if __name__ == "__main__":
    sys.exit(command_line.main())

# SPDX-License-Identifier: Apache-2.0
"""The runtimes of exports, by name."""

from tflm.micro.runtime import MicroRuntime
from tflm.sources.runtime import Runtime
from tflm.static.runtime import StaticRuntime

RUNTIMES: dict[str, type[Runtime]] = {each.name: each for each in (MicroRuntime, StaticRuntime)}

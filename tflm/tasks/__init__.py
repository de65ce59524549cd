# SPDX-License-Identifier: Apache-2.0
"""What models answer, a module a task: how an export compares it, says it, and hands it over."""

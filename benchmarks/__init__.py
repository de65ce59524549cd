# SPDX-License-Identifier: Apache-2.0
"""Measurements that the design rests on; nothing imports them but their tests."""

"""Measurements that the design rests on; nothing imports them but their tests."""

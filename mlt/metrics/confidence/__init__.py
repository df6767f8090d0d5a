"""Intervals and tests: how sure an average precision is."""

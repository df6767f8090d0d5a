"""Data sources: one file each, with the settings that a configuration has for it.

A new one is a file here and a line in `mlt.data.settings`. Readers are imported where they are
called, so that a configuration is checked without NumPy.
"""

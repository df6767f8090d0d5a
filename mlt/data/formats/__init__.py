"""Readers: pure functions from annotation files to a label table."""

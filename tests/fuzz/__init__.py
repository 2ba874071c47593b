"""Damaged and hostile inputs for every parser of ours: `python -m tests.fuzz --help`."""

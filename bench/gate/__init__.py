"""The memory gate: measured peaks against a baseline; `python -m bench.gate` is its command line.

Imports base, record and profiles.
"""

"""The search for learning rates; `python -m bench.tune` is its command line.

Imports what stands before it, up to the erasure.
"""

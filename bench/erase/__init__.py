"""One erasure and nothing else: `python -m bench.erase` is its command line.

Imports what stands before it, up to the search for learning rates.
"""

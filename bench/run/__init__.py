"""One run of `pytest bench/`: its options, what is checked beforehand, what its cases share, and where they are kept.

Imports what stands before it, up to the forecast.
"""

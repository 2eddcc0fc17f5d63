"""Benchmark JSON as frames, and every number that tables and figures share.

Imports `bench.record`, and no other wing.
"""

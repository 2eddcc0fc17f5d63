"""What every wing may use and no one subject owns: files written whole, registries, seeds, sizes, paths, progress.

Imports nothing of the suite.
"""

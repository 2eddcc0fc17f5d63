"""The sustainability statement: what one erasure request costs, and what was shown about it.

Imports data and tables.
"""

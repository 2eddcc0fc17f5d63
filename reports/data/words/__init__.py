"""Words that stand in several places of the report, and the names that people give to things.

Imports nothing of the report.
"""

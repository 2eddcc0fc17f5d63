"""The report, from benchmark JSON alone: data, tables, figures, the sustainability statement, and the page of them all.

Each wing imports only those before it, and of the suite `bench.record` alone.
"""

"""Will it fit? The tensor ledger's peak from shapes alone; `python -m bench.forecast` is its command line.

Imports what stands before it, up to the instruments.
"""

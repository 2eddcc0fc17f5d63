"""One erasure, whole: what it is judged by, what it cost, what the model is worth, and what came after.

Imports what stands before it, up to the run.
"""

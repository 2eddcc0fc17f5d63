"""What is unlearned: data sets, models, the split of a scenario, and training, with its cache.

Imports what stands before it: base, record, profiles and arms.
"""

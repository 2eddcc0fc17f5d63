"""What a model is worth: seen from outside, and how deep it forgot.

Imports what stands before the erasures; what is judged beside the original and Retrain imports the erasure.
"""

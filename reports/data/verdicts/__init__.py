"""Verdicts by rules that were fixed before the run: intervals, what is looked at, claims, and bars."""

"""How names stand in figures.

Imports the data and the style.
"""

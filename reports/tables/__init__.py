"""The tables of the page, as text.

Imports data.
"""

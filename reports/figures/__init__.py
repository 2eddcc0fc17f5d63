"""The figures of the page, by matplotlib and seaborn.

Imports data and tables.
"""

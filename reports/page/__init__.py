"""The report on disk: sections, exhibits, sentences and templates, put together and written.

Imports everything before it.
"""

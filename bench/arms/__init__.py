"""The arms: ways to make a model forget, and what they step with.

Imports base, record and zo_core.
"""

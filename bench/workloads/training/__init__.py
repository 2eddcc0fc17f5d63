"""Originals and Retrain: how they are trained, and what keeps them.

Imports what the arms are made of, the images and the networks.
"""

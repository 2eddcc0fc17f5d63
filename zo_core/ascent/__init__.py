"""Ascent as a whole: what is ascended, what of a network moves, a rate to begin with, the loop and its stop rule."""

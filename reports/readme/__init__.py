"""What the README and reports/gallery/README.md say of the committed results, from their JSON; `python -m reports readme`.

Imports everything before it.
"""

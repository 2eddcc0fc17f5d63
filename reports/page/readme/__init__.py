"""What README.md and reports/gallery/README.md say of the committed results: `python -m reports readme`.

Imports what the page does, and the page.
"""

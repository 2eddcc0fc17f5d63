"""The suite: pytest-benchmark cases and the instruments that measure them."""

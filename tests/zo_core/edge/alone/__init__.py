"""What a device runs, in an environment that has no torch: `tox -e edge`, with the pytest.ini that lies here.

`data/` holds a package, what `make.py` makes, and an erasure of it: made once, and read and replayed ever since.
"""

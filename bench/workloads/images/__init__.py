"""Images as networks take them: a folder is walked, files are decoded once, batches are made when they are asked for.

Imports what stands before workloads, and the models' `ImageSpec`.
"""

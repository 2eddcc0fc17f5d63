"""The suite: cases that pytest runs, and the wings that measure them. `record` and `profiles` are what all share.

Wings import only what stands before them: base, record, profiles, arms, workloads, instruments, forecast, run, erasure,
gate and tune, which do not know each other, and last erase.
"""

"""What measures a step: three ledgers of memory, clock, energy, and the machine itself.

Imports what stands before it: base, record, arms and workloads.
"""

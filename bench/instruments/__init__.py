"""What measures a case: clock, memory, energy, machine. Each is a pass of its own over the same step."""

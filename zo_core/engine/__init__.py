"""What `ZOSGD` stands on: how parameters lie in memory, the same draws in every pass, interrupts that wait."""

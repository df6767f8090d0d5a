"""The process that runs: its device, its progress, and what interrupts it."""

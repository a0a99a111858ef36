"""Floor 3: pure functions of snapshots. Never asks a clock, never touches the kernel."""

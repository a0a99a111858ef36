"""Floor 2: from the kernel to a Snapshot: sources, owners, process facts, names, details, actions."""

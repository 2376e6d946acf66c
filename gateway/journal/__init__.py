"""The journal: the append-only store of what happened, and the only bus."""

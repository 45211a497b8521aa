"""How two networks differ, node by node."""

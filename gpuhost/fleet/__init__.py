"""Many hosts at once, read-only: what `gpuhost check` does between the inventory and the report."""

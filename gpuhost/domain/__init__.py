"""Facts of the world: formats, versions, vendors. No host and no Settings."""

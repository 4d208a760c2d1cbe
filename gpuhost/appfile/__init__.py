"""An app: the user's own Compose file with a block x-gpuhost, for what Compose does not have."""

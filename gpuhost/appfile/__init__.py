"""An app: the user's own Compose file, and its block x-gpuhost, which says what Compose cannot."""

"""An app: the user's own Compose file, and what its x-gpuhost block says beyond Compose."""

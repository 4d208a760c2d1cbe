"""The NVIDIA Container Toolkit: its packages, the CDI specification, the proof in a container."""

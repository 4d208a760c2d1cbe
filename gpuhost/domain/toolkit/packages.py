"""The packages of the NVIDIA Container Toolkit."""

from __future__ import annotations

# One release is these four, and they only work at one version.
PACKAGES = (
    "nvidia-container-toolkit",
    "nvidia-container-toolkit-base",
    "libnvidia-container-tools",
    "libnvidia-container1",
)
RUNTIME_PACKAGE = "nvidia-container-toolkit-base"

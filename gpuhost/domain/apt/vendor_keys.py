"""Fingerprints of the keys that sign the vendors' archives."""

from __future__ import annotations

# Published by Docker: docs.docker.com/engine/install/debian, "verify that the fingerprint is".
DOCKER_KEY = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"
# The primary key, and the only signer, of nvidia.github.io/libnvidia-container/gpgkey: "NVIDIA
# CORPORATION (Open Source Projects) <cudatools@nvidia.com>", 2017-09-28. NVIDIA publishes no
# fingerprint; this is what dnf prints when it imports that key, and what public projects pin.
TOOLKIT_KEY = "C95B321B61E88C1809C4F759DDCAE044F796ECB0"
# Key files and fingerprints by release. 3bf863cc: NVIDIA technical blog, "Updating the CUDA Linux
# GPG repository key" (2022-04). 8793F200 (Debian 13) and 60DF8A40 (Ubuntu 26.04): file names from
# NVIDIA's cuda-repo-management README, "GPG keys"; fingerprints as several public projects pin them
# with the user ids "Kitmaker (Debian 13 Trixie) <kitmaker@nvidia.com>" and "Kitmaker (Ubuntu 26.04)
# <kitmaker@nvidia.com>".
_CUDATOOLS = ("3bf863cc.pub", "EB693B3035CD5710E231E123A4B469963BF863CC")
CUDA_KEYS = {
    "debian12": _CUDATOOLS,
    "debian13": ("8793F200.pub", "02182E60104FCDC26EAE1B8597A5D4CB8793F200"),
    "ubuntu2204": _CUDATOOLS,
    "ubuntu2404": _CUDATOOLS,
    "ubuntu2604": ("60DF8A40.pub", "14BAFBC7562AD710CA04E69905FBB6DA60DF8A40"),
}

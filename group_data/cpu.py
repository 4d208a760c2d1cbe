"""Servers without a GPU: containers, swap and firewall as everywhere, and nothing from NVIDIA."""

gpu = "none"

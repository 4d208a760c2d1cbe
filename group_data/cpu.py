"""Servers without a GPU: containers, swap and firewall, and nothing from NVIDIA."""

gpu = "none"

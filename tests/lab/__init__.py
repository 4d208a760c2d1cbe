"""Disposable hosts for tests: Debian booted with systemd in containers of a local engine.

What cannot be had on one machine (a card, Docker's and NVIDIA's apt repositories) is simulated
here, outside the product.
"""

"""Disposable hosts for tests: Debian booted with systemd in containers of a local engine.

A card and the apt repositories of Docker and NVIDIA are simulated here, outside the product.
"""

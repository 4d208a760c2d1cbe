"""What `config.py` of a repository calls, before the hosts are connected."""

from gpuhost.remote.controller import protect_controller as never_ask_without_terminal

__all__ = ["never_ask_without_terminal"]

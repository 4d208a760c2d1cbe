"""pyinfra's own configuration; pyinfra reads it when it runs in this directory."""

from pyinfra import config

config.REQUIRE_PYINFRA_VERSION = ">=3.10,<3.11"

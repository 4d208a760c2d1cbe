"""pyinfra's own configuration, read when it is run from this directory."""

from pyinfra import config

config.REQUIRE_PYINFRA_VERSION = ">=3.10,<3.11"

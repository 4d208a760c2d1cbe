"""pyinfra's own configuration; pyinfra reads it when it runs in this directory."""

from pyinfra import config

from gpuhost.remote.controller import protect_controller

config.REQUIRE_PYINFRA_VERSION = ">=3.10,<3.11"
# Before the hosts are connected: limits for what they send, printable output, and, from cron or CI,
# one line that says what to do in place of a question.
protect_controller()

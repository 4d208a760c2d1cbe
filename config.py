"""pyinfra's own configuration; pyinfra reads it when it runs in this directory."""

from pyinfra import config

from gpuhost.steps.no_terminal import never_ask_without_terminal

config.REQUIRE_PYINFRA_VERSION = ">=3.10,<3.11"
# From cron or CI a run ends with one line that says what to do, not with a question.
never_ask_without_terminal()

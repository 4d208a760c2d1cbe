"""An app's directory, and the stages of a transaction that only record their runs."""

from tests.runner.transaction_fixtures import app, stages

__all__ = ["app", "stages"]

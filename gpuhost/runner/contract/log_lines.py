"""Markers in the runner's log that the controller reads."""

from __future__ import annotations

# The beginning of a line that starts a stage; viewers show it with its duration.
STAGE = "== "
# The beginning of a line that reports a failed stage.
STAGE_FAILED = "FAILED in "

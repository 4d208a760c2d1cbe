"""What the controller reads of a log that the runner writes."""

from __future__ import annotations

# A line that begins so begins a stage: a viewer shows it with the time it has taken.
STAGE = "== "
# A line that begins so says that the stage has failed.
STAGE_FAILED = "FAILED in "
# Shorter values are words that occur by chance: they are not masked, and not taken as secrets.
LEAST_MASKED = 4

"""The wall clock of a host."""

from __future__ import annotations

# It may be adjusted by this much; what is later than that is from the future.
CLOCK_S = 3600

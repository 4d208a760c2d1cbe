"""Lines of Compose's progress, several for each container: of use in the host's log only."""

from __future__ import annotations

import re

PROGRESS = re.compile(
    r"^\s*(?:Container|Network|Volume) \S+\s+(?:Creat(?:ing|ed)|Recreat(?:e|ed)|Start(?:ing|ed)|"
    r"Running|Waiting|Healthy|Exited|Stopp(?:ing|ed)|Remov(?:ing|ed))\s*$"
)

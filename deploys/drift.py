"""What is no longer as it was applied: a host that has drifted fails, the others go on.

pyinfra inventory.py deploys/drift.py      tells, and changes nothing

`gpuhost drift inventory.py` says the same faster, and keeps a history.
"""

from gpuhost.steps.drift import judged
from gpuhost.steps.start import load_settings_or_stop

# None: the settings are wrong, or the system is not one for us. It was said; other hosts go on.
if settings := load_settings_or_stop():
    judged(settings)

"""Report what is no longer as it was applied. A host that has drifted fails; others continue.

pyinfra inventory.py deploys/drift.py      reports, and changes nothing

`gpuhost drift inventory.py` reports the same, faster, and keeps a history.
"""

from gpuhost.steps.drift import report_drift
from gpuhost.steps.start import load_settings_or_stop

# None: invalid settings or an unsupported system. The reason is printed; other hosts continue.
if settings := load_settings_or_stop():
    report_drift(settings)

"""Have a control host check the fleet for drift every night: docs/drift.md, "Nightly".

pyinfra inventory.py deploys/drift_timer.py --limit HOST       a host whose drift_directory is set
pyinfra @local deploys/drift_timer.py --data drift_directory=/srv/gpuhost

GPUHOST_NOTIFY in the environment: the URL that its messages go to. `deploys/remove.py --data
remove=drift` takes it away again.
"""

from gpuhost.steps.drift import installed
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    installed(settings)

"""Install the nightly drift check on a control host: docs/drift.md, "Nightly".

pyinfra inventory.py deploys/drift_timer.py --limit HOST       a host whose drift_directory is set
pyinfra @local deploys/drift_timer.py --data drift_directory=/srv/gpuhost

GPUHOST_NOTIFY in the environment is the URL for its messages. `deploys/remove.py --data
remove=drift` removes the check.
"""

from gpuhost.steps.drift import install
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    install(settings)

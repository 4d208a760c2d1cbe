"""Bring back the release before the current one, verified like a new one. Data is not touched.

pyinfra inventory.py deploys/rollback.py --data app=NAME
pyinfra inventory.py deploys/rollback.py --data app=NAME --data release=ID
pyinfra inventory.py deploys/rollback.py --data app=NAME --data release=REVISION

`gpuhost releases inventory.py --app NAME` lists what there is to go back to. A revision (7 digits
of it will do) names a release on all hosts; whoever runs it already is left as it is.
"""

from gpuhost.steps.apps import app_from_data, rolled_back
from gpuhost.steps.start import load_settings_or_stop

# None: it was said why; other hosts go on.
if (settings := load_settings_or_stop()) and (app := app_from_data()):
    rolled_back(settings, app)

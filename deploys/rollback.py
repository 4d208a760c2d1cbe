"""Roll an app back to the previous release, and verify it. Data is not changed.

pyinfra inventory.py deploys/rollback.py --data app=NAME
pyinfra inventory.py deploys/rollback.py --data app=NAME --data release=ID
pyinfra inventory.py deploys/rollback.py --data app=NAME --data release=REVISION

`gpuhost releases inventory.py --app NAME` lists the releases. A revision (at least 7 digits) names
a release on all hosts; a host that already runs it is not changed.
"""

from gpuhost.steps.apps import app_from_data, roll_back
from gpuhost.steps.start import load_settings_or_stop

# None: the reason is printed, and other hosts continue.
if (settings := load_settings_or_stop()) and (app := app_from_data()):
    roll_back(settings, app)

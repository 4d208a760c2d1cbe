"""Release an app: the source as it is now, built, migrated, up, verified, or back as it was.

pyinfra inventory.py deploys/app.py --data app=NAME          over SSH, host after host
pyinfra inventory.py deploys/app.py --data app=NAME --dry    what would be released, nothing else

apps/NAME.yaml describes it. Where several hosts have it, the first that fails stops the rest.
"""

from gpuhost.steps.apps import app_from_data, released
from gpuhost.steps.start import load_settings_or_stop

# None: it was said why; other hosts go on.
if (settings := load_settings_or_stop()) and (app := app_from_data()):
    released(settings, app)

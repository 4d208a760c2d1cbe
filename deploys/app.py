"""Release an app: build, migrate, start and verify it, or restore the previous release.

pyinfra inventory.py deploys/app.py --data app=NAME          over SSH, host after host
pyinfra inventory.py deploys/app.py --data app=NAME --dry    what would be released, nothing else

apps/NAME.yaml describes the app. With several hosts, the first failure stops the rest.
"""

from gpuhost.steps.apps import app_from_data, deploy
from gpuhost.steps.start import load_settings_or_stop

# None: the reason is printed, and other hosts continue.
if (settings := load_settings_or_stop()) and (app := app_from_data()):
    deploy(settings, app)

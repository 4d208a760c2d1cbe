"""Restore an app's data from a backup; if the app then fails, restore the previous data.

pyinfra inventory.py deploys/restore.py --data app=NAME                    lists the backups
pyinfra inventory.py deploys/restore.py --data app=NAME --data backup=NAME

The app is stopped meanwhile. With several hosts, give --limit HOST: each has its own backups.
"""

from gpuhost.steps.apps import app_from_data
from gpuhost.steps.restore import restore
from gpuhost.steps.start import load_settings_or_stop

# None: the reason is printed, and other hosts continue.
if (settings := load_settings_or_stop()) and (app := app_from_data()):
    restore(settings, app)

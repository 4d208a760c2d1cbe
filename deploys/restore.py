"""Put an app's data back as a backup has it; if the app is not good with it, as it was before.

pyinfra inventory.py deploys/restore.py --data app=NAME                    lists the backups
pyinfra inventory.py deploys/restore.py --data app=NAME --data backup=NAME

The app is stopped meanwhile. With several hosts, give --limit HOST: each has backups of its own.
"""

from gpuhost.steps.apps import app_from_data
from gpuhost.steps.restore import data_restored
from gpuhost.steps.start import load_settings_or_stop

# None: it was said why; other hosts go on.
if (settings := load_settings_or_stop()) and (app := app_from_data()):
    data_restored(settings, app)

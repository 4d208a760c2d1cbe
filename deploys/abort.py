"""End the release, rollback or restore in progress on an app, and undo what it has changed.

pyinfra inventory.py deploys/abort.py --data app=NAME

An operation that was interrupted is undone now. If nothing is in progress, nothing is changed.
"""

from gpuhost.steps.apps import abort, app_from_data
from gpuhost.steps.start import load_settings_or_stop

# None: the reason is printed, and other hosts continue.
if (settings := load_settings_or_stop()) and (app := app_from_data()):
    abort(settings, app)

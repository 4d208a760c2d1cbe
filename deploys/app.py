"""Release an app: the source as it is now, built, migrated, up, verified, or back as it was.

pyinfra inventory.py deploys/app.py --data app=NAME          over SSH, host after host
pyinfra inventory.py deploys/app.py --data app=NAME --dry    what would be released, nothing else

apps/NAME.yaml describes it. Where several hosts have it, the first that fails stops the rest.
"""

from gpuhost.steps.apps import asked_for, released
from gpuhost.steps.start import begin

# None: it was said why; other hosts go on.
if (settings := begin()) and (app := asked_for()):
    released(settings, app)

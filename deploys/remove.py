"""Remove what gpuhost set up for a noun, or an app; data stays.

pyinfra inventory.py deploys/remove.py --data remove=swap,firewall
pyinfra inventory.py deploys/remove.py --data remove=app --data app=NAME
"""

from gpuhost.steps.removal import remove
from gpuhost.steps.start import load_settings_or_stop

if settings := load_settings_or_stop():
    remove(settings)

"""Take a noun's settings away again, or an app; data stays.

pyinfra inventory.py deploys/remove.py --data remove=swap,firewall
pyinfra inventory.py deploys/remove.py --data remove=app --data app=NAME
"""

from gpuhost.host.removal import remove
from gpuhost.host.start import begin

if settings := begin():
    remove(settings)

"""Take a noun's settings away again; data stays.

pyinfra inventory.py deploys/remove.py --data remove=swap,firewall
"""

from gpuhost.host.removal import remove
from gpuhost.host.start import begin

if settings := begin():
    remove(settings)

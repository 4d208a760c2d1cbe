"""The firewall is taken away again."""

from gpuhost.host import firewall
from gpuhost.host.start import begin

if settings := begin():
    firewall.removed(settings)

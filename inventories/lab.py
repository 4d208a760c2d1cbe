"""Disposable hosts on this machine: ``python -m tests.lab up``, then, in the root of the repository

pyinfra inventories/lab.py deploys/gpu_host.py
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))

from tests.lab.inventory import pyinfra_hosts

lab = pyinfra_hosts()

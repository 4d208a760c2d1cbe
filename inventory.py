"""Your servers. Name them here, then

    pyinfra inventory.py deploys/gpu_host.py --dry     print what would change
    pyinfra inventory.py deploys/gpu_host.py           change it
    gpuhost check inventory.py                         check it

On the server itself no inventory is needed: ``pyinfra @local deploys/gpu_host.py``.

A host is a name or an address, or a tuple of it and its own data: its login and its settings
(docs/settings.md lists all settings; docs/connecting.md explains logins, ports, keys, jump hosts).
The data of a group is in ``group_data/GROUP.py``, the data of all hosts in ``group_data/all.py``.
"""

from pyinfra.api.exceptions import InventoryError

# Servers with an NVIDIA card.
gpu = [
    # "gpu1.example.com",
    # ("203.0.113.10", {"ssh_user": "ubuntu", "ssh_key": "~/.ssh/id_ed25519"}),
    # ("203.0.113.11", {"ssh_user": "root", "ssh_port": 2222, "cuda": "12.1", "gpu_count": 2}),
    # ("behind-a-jump-host", {}),  # as configured in ~/.ssh/config, with ProxyJump
]

# Servers without a card (group_data/cpu.py).
cpu = []

# The names of those servers above that are in mainland China (group_data/china.py).
china = []

if not (gpu or cpu):
    raise InventoryError(
        'no host is named yet: add one to inventory.py, such as gpu = ["203.0.113.10"]; '
        "on the server itself use @local in place of inventory.py"
    )

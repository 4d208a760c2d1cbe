"""Your servers. Name them here, then

    pyinfra inventory.py deploys/gpu_host.py --dry     what would change
    pyinfra inventory.py deploys/gpu_host.py           change it
    gpuhost check inventory.py                         how they are

On the server itself no inventory is needed: ``pyinfra @local deploys/gpu_host.py``.

A host is a name or an address, or a tuple of it and its own data: how to log in, and its settings
(group_data/all.py has them all; gpuhost's docs/connecting.md has logins, keys and jump hosts).
The data of a group stands in ``group_data/GROUP.py``, that of all hosts in ``group_data/all.py``.
"""

from pyinfra.api.exceptions import InventoryError

# Servers with an NVIDIA card.
gpu = [
    # "gpu1.example.com",
    # ("203.0.113.10", {"ssh_user": "ubuntu", "ssh_key": "~/.ssh/id_ed25519"}),
    # ("203.0.113.11", {"ssh_user": "root", "ssh_port": 2222, "cuda": "12.1", "gpu_count": 2}),
    # ("behind-a-jump-host", {}),  # as ~/.ssh/config has it, ProxyJump and all
]

# Servers without (group_data/cpu.py).
cpu = []

# Which of the servers above are in mainland China: their names once more (group_data/china.py).
china = []

if not (gpu or cpu):
    raise InventoryError(
        'no host is named yet: add one to inventory.py, such as gpu = ["203.0.113.10"]; '
        "on the server itself use @local in place of inventory.py"
    )

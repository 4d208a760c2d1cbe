"""An example of a larger inventory to copy; every name in it is an example.

    pyinfra inventories/production.py deploys/gpu_host.py --limit inference

Run it in the directory that contains ``group_data/``: pyinfra reads it there, and beside this file.
"""

import os

# Group data can be given with the hosts: (hosts, data).
inference = (
    [
        "inference1.example.com",
        ("inference2.example.com", {"firewall_allow": ["80/tcp", "443/tcp"]}),
    ],
    {"ssh_user": "deploy", "cuda": "12.4", "gpu": "required"},
)

# A password for sudo comes from the environment, never from a file of the repository.
training = (
    [("training1.example.com", {"gpu_count": 8, "nvidia_driver": "install"})],
    {
        "ssh_user": "deploy",
        "_sudo": True,
        "_sudo_password": os.environ.get("TRAINING_SUDO_PASSWORD"),
    },
)

# A host can be in several groups: this one is also in the group of group_data/china.py.
china = ["inference2.example.com"]

cpu = ["web1.example.com"]

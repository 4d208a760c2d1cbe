"""Writes the record of what gpuhost changed for the NVIDIA driver."""

from __future__ import annotations

import json

from pyinfra.api import StringCommand

from gpuhost.remote.commands import put
from gpuhost.snapshot.nvidia_record import NVIDIA_RECORD, NvidiaRecord


def put_record(record: NvidiaRecord) -> StringCommand:
    # A host without MIG has the record that it always had.
    values = {name: value for name, value in vars(record).items() if name != "mig" or value}
    return put(NVIDIA_RECORD, json.dumps(values, indent=1, sort_keys=True) + "\n")

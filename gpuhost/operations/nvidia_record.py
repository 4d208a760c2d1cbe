"""Writes the record of what gpuhost changed for the NVIDIA driver."""

from __future__ import annotations

import json

from pyinfra.api import StringCommand

from gpuhost.remote.commands import put
from gpuhost.snapshot.nvidia_record import NVIDIA_RECORD, NvidiaRecord


def put_record(record: NvidiaRecord) -> StringCommand:
    return put(NVIDIA_RECORD, json.dumps(vars(record), indent=1, sort_keys=True) + "\n")

"""The virtual machine of these tests; without QEMU they are skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.lab import vm
from tests.lab.lab import Lab
from tests.lab.process import LabError
from tests.lab.vm import VirtualMachine
from tests.vm.served import ALLOWED, CLOSED


@pytest.fixture(scope="session")
def machine(lab: Lab) -> Iterator[VirtualMachine]:
    """A blank virtual machine, with two ports that are reachable from outside."""
    try:
        vm.need_qemu()
    except LabError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"NOT TESTED in a virtual machine: QEMU cannot be installed: {error}")
    with vm.booted(lab, ALLOWED, CLOSED) as booted:
        yield booted

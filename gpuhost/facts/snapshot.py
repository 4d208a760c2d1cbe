"""The snapshot of a host, as a pyinfra fact."""

from __future__ import annotations

from typing import TypedDict

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError
from typing_extensions import override

from gpuhost.snapshot.transport import ELEVATED_SHELL, BadReply, decode


class RawProbe(TypedDict):
    """A probe as JSON: exit status (null: timed out), standard output and error."""

    rc: int | None
    out: str
    err: str


class Snapshot(FactBase[dict[str, RawProbe]]):
    """
    Everything gpuhost reads of a host, in one exec. The script is sent on stdin, so only
    `gpuhost.operations.reading` can use this fact; on the command line use ``gpuhost check`` or
    the fact of one noun, such as ``gpuhost.facts.nvidia.Gpus``.

    **Example:**

    .. code:: python

        from gpuhost.operations.reading import read
        print(read(Settings()).swap.total)
    """

    @override
    def command(self) -> str:
        return ELEVATED_SHELL

    @staticmethod
    @override
    def default() -> dict[str, RawProbe]:
        return {}

    @override
    def process(self, output: list[str]) -> dict[str, RawProbe]:
        try:
            probes = decode(output)
        except BadReply as error:
            raise FactProcessError(str(error)) from error
        return {
            name: {"rc": probe.rc, "out": probe.out, "err": probe.err}
            for name, probe in probes.by_name.items()
        }

"""The exception of a failed stage."""

from __future__ import annotations


class Failure(Exception):
    """A stage failed.

    + said: what failed, one line, with the message of the tool
    + output: the last lines of the tool
    + fix: an instruction for a person; "" if none is known
    """

    def __init__(self, said: str, *, output: tuple[str, ...] = (), fix: str = "") -> None:
        super().__init__(said)
        self.said = said
        self.output = output
        self.fix = fix

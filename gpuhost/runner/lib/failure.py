"""Why a stage cannot go on."""

from __future__ import annotations


class Failure(Exception):
    """A stage failed: what, in the failing tool's own words where there is one, and what to do.

    + said: one line
    + output: the last lines of the tool that failed
    + fix: what a person does next; "" if nothing is known
    """

    def __init__(self, said: str, *, output: tuple[str, ...] = (), fix: str = "") -> None:
        super().__init__(said)
        self.said = said
        self.output = output
        self.fix = fix

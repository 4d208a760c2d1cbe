"""A rule of iptables as a packet meets it, read from a line of `iptables-save`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from gpuhost.domain.firewall.conditions import (
    FIRST,
    MODULES,
    Condition,
    condition_of,
    is_listed,
    is_source_set,
)
from gpuhost.domain.firewall.packet import Match, Packet
from gpuhost.domain.firewall.tables import Option, grouped
from gpuhost.domain.shell_words import shell_words


@dataclass(frozen=True)
class Rule:
    """A rule of iptables as a packet meets it.

    + target: its name, "" for a rule that only counts; jumps: "-j" or "-g"
    + arguments: what follows the target
    + lists: names of the sets that say from which sources it applies
    """

    text: str
    conditions: tuple[Condition, ...]
    target: str
    jump: str
    arguments: tuple[str, ...]
    lists: tuple[str, ...]

    def match(self, packet: Packet) -> Match:
        result = Match.YES
        for condition in self.conditions:
            result = min(result, condition(packet))
            if result is Match.NO:
                break
        return result

    def matches_listed(self, packet: Packet) -> bool:
        """Whether it may match the same packet from a source in its sets."""
        others = (condition for condition in self.conditions if condition is not is_listed)
        return bool(self.lists) and all(condition(packet) is not Match.NO for condition in others)

    @classmethod
    @lru_cache(maxsize=8192)
    def parse(cls, text: str) -> Rule:
        """Read a rule as `iptables-save` prints it: the target and its options are last."""
        before, jump, after = _split(shell_words(text))
        every = [option for option in grouped(before) if not _is_known_module(option)]
        # Most rules are about another protocol or port: asked first.
        every.sort(key=lambda option: option[1] not in FIRST)
        return cls(
            text=text,
            conditions=tuple(condition_of(*option) for option in every),
            target=after[0] if after else "",
            jump=jump,
            arguments=tuple(after[1:]),
            lists=tuple(o[2][0] for o in every if is_source_set(*o)),
        )


def _split(rule: list[str]) -> tuple[list[str], str, list[str]]:
    for at, word in enumerate(rule):
        if word in ("-j", "-g") and (at == 0 or rule[at - 1] != "--comment"):
            return rule[:at], word, rule[at + 1 :]
    return rule, "", []


def _is_known_module(option: Option) -> bool:
    _, name, values = option
    return name == "-m" and bool(values) and values[0] in MODULES

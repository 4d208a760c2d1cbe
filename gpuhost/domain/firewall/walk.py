"""One packet on its way through the chains of one table, rule by rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from gpuhost.domain.firewall.iptables_rule import Rule
from gpuhost.domain.firewall.packet import Match, Packet
from gpuhost.domain.firewall.tables import Chains

# The targets that end a way, and what they mean for the packet.
CLOSING = {"DROP": "drop", "REJECT": "reject"}
ENDING = {"ACCEPT", "RETURN", *CLOSING}
# After these the next rule is asked (iptables-extensions(8): non-terminating targets).
PASSING = {
    *("", "LOG", "NFLOG", "ULOG", "AUDIT", "TRACE", "CHECKSUM", "TCPMSS", "TTL", "HL", "TOS"),
    *("DSCP", "ECN", "CLASSIFY", "SET", "SECMARK", "CONNSECMARK", "TEE", "RATEEST", "LED"),
    *("TCPOPTSTRIP", "IDLETIMER", "NFACCT", "CT", "NOTRACK", "MARK", "CONNMARK"),
}
MARKING = {"MARK", "CONNMARK"}
REWRITING = {"DNAT", "REDIRECT"}
# The kernel refuses chains that jump into each other deeper than this (16 with nftables).
DEEPEST = 64
# Each rule may be reached on a few ways; two jumps from each chain to the next have no bound.
WAYS, AT_LEAST = 20, 10_000


@dataclass(frozen=True)
class Step:
    """A possible end of a way.

    + target: ACCEPT, DROP, REJECT, RETURN, DNAT, REDIRECT, or "?": gpuhost does not know it
    + rule: the rule that says so, with its chain
    + to: what DNAT and REDIRECT write
    + certain: False if a condition on the way could not be judged
    """

    target: str
    rule: str
    to: str = ""
    certain: bool = True


class Walk:
    """One packet in one table. parse: reads a rule of this tool.

    + lists: sets that may hold sources for which it ends elsewhere
    """

    def __init__(self, chains: Chains, packet: Packet, parse: Callable[[str], Rule]) -> None:
        self.chains = chains
        self.packet = packet
        self.parse = parse
        self.lists: list[str] = []
        self._left = AT_LEAST + WAYS * sum(len(chain.rules) for chain in chains.values())

    def through(self, name: str) -> list[Step]:
        """The possible ends in a built-in chain; what no rule ends, its policy does."""
        policy = self.chains[name].policy
        default = Step(policy if policy in ENDING else "ACCEPT", f"the policy {policy} of {name}")
        return [
            replace(default, certain=step.certain) if step.target == "RETURN" else step
            for step in self._chain(name, 0)
        ]

    def _chain(self, name: str, depth: int) -> list[Step]:
        ends: list[Step] = []
        if depth > DEEPEST:
            return [Step("?", f"{name}: a loop of jumps")]
        for text in self.chains[name].rules:
            self._left -= 1
            if self._left < 0:
                return [*ends, Step("?", f"{name}: too many rules to follow")]
            rule = self.parse(text)
            match = rule.match(self.packet)
            if match is Match.NO:
                if rule.target not in PASSING and rule.matches_listed(self.packet):
                    self.lists += rule.lists
                continue
            steps, goes_on = self._apply(rule, name, depth)
            if match is Match.MAYBE:
                ends += [replace(step, certain=False) for step in steps]
                continue
            ends += steps
            if not goes_on:
                return ends
        return [*ends, Step("RETURN", f"the end of {name}")]

    def _apply(self, rule: Rule, chain: str, depth: int) -> tuple[list[Step], bool]:
        """The ends to which a matching rule can lead, and whether the next rule can be asked."""
        text = f"{chain} {rule.text}"
        if rule.target in MARKING:
            self.packet = replace(self.packet, marked=True)
        if rule.target == "NOTRACK" or "--notrack" in rule.arguments:
            self.packet = replace(self.packet, untracked=True)
        if rule.target in PASSING:
            return [], True
        if rule.target in ENDING:
            return [Step(rule.target, text)], False
        if rule.target in REWRITING:
            return [Step(rule.target, text, _option(rule, "--to"))], False
        if rule.target not in self.chains:
            return [Step("?", text)], False
        steps = self._chain(rule.target, depth + 1)
        if rule.jump == "-g":
            return steps, False
        ends = [step for step in steps if step.target != "RETURN"]
        return ends, len(ends) < len(steps)


def _option(rule: Rule, name: str) -> str:
    """The value of the option that begins so: --to-destination, --to-ports."""
    pairs: Mapping[str, str] = dict(zip(rule.arguments, rule.arguments[1:], strict=False))
    return next((value for option, value in pairs.items() if option.startswith(name)), "")

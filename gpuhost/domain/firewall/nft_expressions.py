"""Expressions of nftables other than a key and its value, as `nft list` prints them (nft(8)).

What an ordinary new connection has is in headers.py.
"""

from __future__ import annotations

from functools import partial

from gpuhost.domain.firewall.conditions import Condition, cannot_tell, condition_of, is_listed
from gpuhost.domain.firewall.packet import Match, Packet, matches
from gpuhost.domain.firewall.rule import Family

TCP = condition_of(False, "-p", ("tcp",))
FAMILIES: dict[str, Family] = {"ip": 4, "ip6": 6, "ipv4": 4, "ipv6": 6, "4": 4, "6": 6}
OF_FAMILY = (("meta", "nfproto"), ("meta", "protocol"), ("ip", "version"), ("ip6", "version"))
NUMBERS = {
    ("ip", "ttl"): "--ttl",
    ("ip6", "hoplimit"): "--ttl",
    ("ip", "length"): "--length",
    ("meta", "length"): "--length",
    ("tcp", "option", "maxseg", "size"): "--mss",
}
MARKS = (("meta", "mark"), ("ct", "mark"), ("mark",))
# Bits that only fragments have: without a mask the one that forbids fragments is compared too.
FRAGMENT = ("ip", "frag-off")
ABSENT = ("exthdr", "ip", "meta", "ct")
# Tokens of `saddr . dport @set` that are searched for the set.
MOST_JOINED = 40
# What `fib` looks up.
FIB_RESULTS = ("oif", "oifname", "type")
TCP_FLAGS = {"NONE", "FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECN", "CWR"}


def is_of(family: Family, packet: Packet) -> Match:
    return matches(packet.family == family)


def constant(match: Match, packet: Packet) -> Match:
    return match


NEVER, ALWAYS = partial(constant, Match.NO), partial(constant, Match.YES)
PRESENCE = {"exists": NEVER, "missing": ALWAYS}


def expression(word: str, tokens: list[str], lists: list[str]) -> Condition | None:
    """The condition of an expression; None, and the tokens as they were, if it is none of these."""
    if word in ("add", "update", "meter"):
        return _dynamic(tokens)
    if (word, *tokens[:1]) == ("tcp", "flags"):
        del tokens[0]
        return _flags(tokens)
    if (word, *tokens[:1]) == ("ct", "count"):
        del tokens[0]
        return _limit(tokens)
    if word == "fib":
        return _fib(tokens)
    if "." in tokens[:3]:
        return _joined(word, tokens, lists)
    if word in ABSENT and any(token in PRESENCE for token in tokens[1:3]):
        return _exists(tokens)
    return _keyed(word, tokens)


def _dynamic(tokens: list[str]) -> Condition:
    """`add @set { ip saddr limit rate over 10/minute }`: ordinary traffic is within the rate."""
    while tokens and not tokens[0].startswith("{"):
        del tokens[0]
    inner = tokens.pop(0) if tokens else ""
    return NEVER if "rateover" in inner or "countover" in inner else ALWAYS


def _limit(tokens: list[str]) -> Condition:
    """`ct count over 50`: one connection is not over any number."""
    is_over = tokens[:1] == ["over"]
    del tokens[: 2 if is_over else 1]
    return NEVER if is_over else ALWAYS


def _fib(tokens: list[str]) -> Condition | None:
    """`fib saddr . iif oif missing`: the way back to the source is the way it came."""
    end = next((at for at, token in enumerate(tokens[:6]) if token in FIB_RESULTS), None)
    if end is None:
        return None
    del tokens[1:end]
    if tokens[1] == "type":
        return None
    del tokens[:2]
    return _compared_to_none(tokens)


def _compared_to_none(tokens: list[str]) -> Condition:
    operator = tokens.pop(0) if tokens[:1] and tokens[0] in ("!=", "==") else "=="
    value = tokens.pop(0) if tokens else ""
    if value not in ("missing", "exists", "0", '""'):
        return cannot_tell
    return ALWAYS if (value == "exists") == (operator == "==") else NEVER


def _joined(word: str, tokens: list[str], lists: list[str]) -> Condition | None:
    """`ip saddr . tcp dport @set`: it is in it only if its source is."""
    ends = (at for at, token in enumerate(tokens[:MOST_JOINED]) if token.startswith(("@", "{")))
    end = next(ends, None)
    if end is None:
        return None
    keys, value = [word, *tokens[:end]], tokens[end]
    del tokens[: end + 1]
    if "saddr" in keys and "!=" not in keys and value.startswith("@"):
        lists.append(value)
        return is_listed
    return cannot_tell


def _exists(tokens: list[str]) -> Condition:
    """Headers of fragments and routing, options of IP, IPsec: an ordinary packet has none."""
    while (token := tokens.pop(0)) not in PRESENCE:
        pass
    return PRESENCE[token]


def _keyed(word: str, tokens: list[str]) -> Condition | None:
    for length in range(3, -1, -1):
        key = (word, *tokens[:length])
        if key in NUMBERS or key in MARKS or key in OF_FAMILY or key == FRAGMENT:
            del tokens[:length]
            return _valued(key, tokens)
    return None


def _valued(key: tuple[str, ...], tokens: list[str]) -> Condition:
    mask = ""
    if tokens[:1] == ["&"]:
        mask = tokens[1]
        del tokens[:2]
    has_operator = bool(tokens) and tokens[0] in ("==", "!=", "<", ">", "<=", ">=")
    operator = tokens.pop(0) if has_operator else "=="
    value = tokens.pop(0) if tokens else ""
    if not value or value.startswith("@") or (mask and value == "|"):
        return cannot_tell
    negated = operator == "!="
    if key in OF_FAMILY:
        return _family(value, negated)
    if key in MARKS:
        return condition_of(negated, "--mark", (f"{value}/{mask}" if mask else value,))
    if key == FRAGMENT:
        return _fragment(mask, value, negated)
    return condition_of(negated, NUMBERS[key], (_range(operator, value),))


def _family(value: str, negated: bool) -> Condition:
    known = [FAMILIES[each] for each in value.strip("{}").split(",") if each in FAMILIES]
    return partial(_is_one_of, tuple(known), negated)


def _is_one_of(families: tuple[Family, ...], negated: bool, packet: Packet) -> Match:
    return matches((packet.family in families) != negated)


def _fragment(mask: str, value: str, negated: bool) -> Condition:
    try:
        if not mask or int(mask, 0) & 0x4000:
            return cannot_tell
        return ALWAYS if (int(value, 0) == 0) != negated else NEVER
    except ValueError:
        return cannot_tell


def _range(operator: str, value: str) -> str:
    """`< 5` is 0:4, 1-535 is 1:535; a text that is no number is judged by nobody."""
    if operator in ("==", "!="):
        return value.strip("{}").replace("-", ":")
    if not value.isdecimal():
        return "?"
    number = int(value)
    return {
        "<": f"0:{number - 1}",
        "<=": f"0:{number}",
        ">": f"{number + 1}:",
        ">=": f"{number}:",
    }[operator]


# --- flags of TCP --------------------------------------------------------------------------


def _flags(tokens: list[str]) -> Condition:
    """`[!=] syn / fin,syn,rst,ack`, `! fin,syn`, `& (fin | syn) == fin | syn`, `syn`."""
    mask = ""
    if tokens[:1] == ["&"]:
        del tokens[0]
        mask = _names(tokens)
    has_operator = bool(tokens) and tokens[0] in ("==", "!=", "!")
    operator = tokens.pop(0) if has_operator else ""
    value = _names(tokens)
    if tokens[:1] == ["/"]:
        del tokens[0]
        mask = _names(tokens)
    if operator == "!":
        return _of_tcp(False, value, "NONE")
    if not operator and not mask:
        # Any of these flags.
        return _of_tcp(True, value, "NONE")
    return _of_tcp(operator == "!=", mask or "ALL", value)


def _of_tcp(negated: bool, mask: str, compared: str) -> Condition:
    if not {*mask.split(","), *compared.split(",")} <= TCP_FLAGS | {"ALL"}:
        return cannot_tell
    return partial(_both, condition_of(negated, "--tcp-flags", (mask, compared)))


def _both(condition: Condition, packet: Packet) -> Match:
    return min(TCP(packet), condition(packet))


def _names(tokens: list[str]) -> str:
    """A set of flags, as iptables writes it."""
    words = [tokens.pop(0)] if tokens else []
    while tokens and (tokens[0] == "|" or words[-1] == "|"):
        words.append(tokens.pop(0))
    names = "".join(words).strip("()").replace("|", ",").upper()
    return "NONE" if names in ("0X0", "0") else names

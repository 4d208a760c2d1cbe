"""Generated sites, for a test by nginx itself."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

NAMES = ("_", "example.com", "*.example.com", ".example.com", "xn--bcher-kva.example", "10.0.0.1")
REGEXES = (r"~ /\d+$", r"~* \.(js|css)$", r"~ /a\\b", r"~ /(?<x>a|b)\.\w*$", "~ /[^/]+#x", "~ /語")
PREFIXES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="{};\"'"), max_size=12
)
DIFFERENCES = st.fixed_dictionaries(
    {},
    optional={
        "rate_per_s": st.integers(1, 1000),
        "burst": st.integers(0, 100),
        "timeout_s": st.integers(1, 86400),
        "max_body": st.sampled_from(("0", "1", "50m", "1G", "10k")),
        "websocket": st.booleans(),
        "cache_s": st.integers(1, 31536000),
        "upstream": st.sampled_from(("127.0.0.1:81", "localhost:82")),
    },
)


@st.composite
def paths(draw: st.DrawFn) -> dict[str, Any]:
    plain = draw(st.lists(PREFIXES.map(lambda text: f"/{text}"), unique=True, max_size=5))
    # nginx refuses a location that is declared twice.
    one_each = {draw(st.sampled_from(("", "= ", "^~ "))) + path for path in plain}
    regexes = draw(
        st.lists(st.sampled_from([r for r in REGEXES if "~ /" in r]), unique=True, max_size=2)
    )
    return {where: draw(DIFFERENCES) for where in sorted(one_each | set(regexes))}


@st.composite
def sites(draw: st.DrawFn) -> dict[str, Any]:
    """The `nginx` part of a block."""
    tls = draw(st.sampled_from((None, {"kind": "self-signed"}, {"kind": "acme", "email": "a@b.c"})))
    return {
        "server_names": draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True)),
        "upstream": draw(st.sampled_from(("127.0.0.1:3000", "localhost:3000"))),
        **({"tls": tls} if tls else {}),
        **draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "rate_per_s": st.integers(1, 1000),
                    "burst": st.integers(0, 50),
                    "timeout_s": st.integers(1, 3600),
                    "port": st.integers(1, 32000),
                    "tls_port": st.integers(32001, 65535),
                    "max_body": st.sampled_from(("1m", "0")),
                },
            )
        ),
        "paths": draw(paths()),
    }

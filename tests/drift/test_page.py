"""The page of a drift run: its content, and that a host cannot inject anything."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gpuhost.drift.report import DriftReport
from gpuhost.drift.since import UNREAD
from gpuhost.outputs.drift_page import page, write
from tests.drift import pages

GOLDEN = Path(__file__).parents[1] / "fixtures" / "drift" / "page.html"
VOID = ("meta", "link")


class Elements(HTMLParser):
    """Every element of a page; an unclosed element, or one that is closed twice, fails."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}>"

    def count(self, tag: str) -> int:
        return sum(found == tag for found, _ in self.found)

    def values(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.found if name in attributes]


def folded(text: str, host: str) -> bool:
    """Whether a host's part is folded."""
    (start,) = re.findall(rf"<details class=\"host [a-z]+\"( open)?>\n<summary><h3>{host}<", text)
    return not start


def test_the_page_is_the_golden_one() -> None:
    """After an intended change, review the page and write it: python -m tests.drift.pages"""
    assert pages.golden() == GOLDEN.read_text("utf-8")


@pytest.mark.parametrize(
    "report", [pages.everything(), pages.hostile(), pages.many(60), DriftReport((), 0)]
)
def test_the_page_is_well_formed_and_self_contained(report: DriftReport) -> None:
    text = page(report, new=pages.NEW)
    assert text == page(report, new=pages.NEW)
    elements = Elements(text)
    ids = Counter(elements.values("id"))
    assert not [id for id, count in ids.items() if count > 1]
    links = elements.values("href")
    assert {link for link in links if not link.startswith("#")} == {"data:,"}
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert not {"script", "img", "iframe", "object", "form"} & {tag for tag, _ in elements.found}
    assert not elements.values("src") + elements.values("style")
    style = text.partition("<style>")[2].partition("</style>")[0]
    assert not re.search(r"url\(|@import", style)


def test_the_page_has_everything_a_person_needs() -> None:
    text = page(pages.everything(), new=pages.NEW)
    for said in (
        "5 of 10 hosts need attention",
        "2026-11-22 04:05",
        # A finding, whole.
        "drift: the host has changed since it was provisioned",
        "a driver that answers",
        "library mismatch: module 535.183.01 is loaded.",
        "Failed to initialize NVML",
        "Reboot, or stop everything",
        # The other causes, and what was accepted.
        "pending: the repository has changed; the next deploy",
        "never applied: was never as declared on this host",
        "Accepted until 2026-12-31: the new disk comes in December",
        "Was accepted until 2026-11-01, which has passed: two modules were ordered",
        # Hosts that were not read.
        "the host key is not the one in known_hosts",
        "ssh-keygen -R gpu7.example.com",
        "Its settings are invalid: the host was not contacted.",
        "Applied 2026-11-20 04:05 UTC by ada@desk",
    ):
        assert said in text, said


def test_hosts_are_worst_first() -> None:
    text = page(pages.everything())
    hosts = re.findall(r"<summary><h3>(\w+)", text)
    assert hosts == ["gpu6", "gpu7", "gpu5", "gpu8", "gpu3", "gpu4", "fresh", "gpu2"]


def test_a_cell_shows_its_worst_finding() -> None:
    text = page(pages.everything(), new=pages.NEW)
    row = text[text.index('<a href="#h5">gpu3') :].partition("</tr>")[0]
    cells = re.findall(r'<td class="([a-z-]+)" title="(\w+): ([^"]*)">(.*?)</td>', row, re.DOTALL)
    found = {
        noun: (kind, said, re.sub("<[^>]*>", "", inside)) for kind, noun, said, inside in cells
    }
    since = "warn, since the last run"
    assert found["apt"] == ("ok", "ok", "✓")
    assert found["disk"] == ("warn", since, f"! ★ {since}")
    assert found["firewall"] == ("drift", "drift", "✗ drift")
    assert found["memory"] == ("never-applied", "never applied", "+ never applied")
    assert found["proxy"] == ("skip", "skip", "–")
    assert found["swap"] == ("pending", "pending", "→ pending")
    assert found["system"] == ("accepted", "accepted", "~ accepted")


def test_new_findings_are_on_top() -> None:
    text = page(pages.everything(), new=pages.NEW)
    top, _, rest = text.partition("At a glance")
    for said in ("3 new since the last run", "nvidia.driver", "disk.full", "gpu7.example.com"):
        assert said in top, said
    assert "swap.size" not in top
    in_grid, in_legend, at_hosts, at_findings = 3, 1, 2, 2
    assert rest.count("★") == in_grid + in_legend + at_hosts + at_findings
    assert "★" not in page(pages.everything())
    # An ok finding is not new, nor is a finding of a host that was not read.
    gone = {("gpu1.example.com", "swap.size"), ("gpu6.example.com", "swap.size")}
    assert "★" not in page(pages.everything(), new=frozenset(gone | {("gpu1.example.com", UNREAD)}))


def test_text_from_hosts_is_escaped() -> None:
    text = page(pages.hostile(), new=frozenset({("bad<script>", "disk.full")}))
    elements = Elements(text)
    assert elements.count("script") == elements.count("img") == 0
    assert not elements.values("onerror")
    assert "&lt;script&gt;document.title" in text
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "a?b?[31mc?d?e?f?g?h j\nk" in text
    assert "more characters)" in text
    assert "x" * 4001 not in text
    assert "Interrupted." in text


@pytest.mark.slow
def test_a_large_fleet_stays_readable() -> None:
    report = pages.many()
    text = page(report)
    assert len(text.encode()) < 2_000_000
    glance = text.partition('<details class="good">')
    assert "882 hosts are ok" in glance[2]
    assert "gpu0000.example.com" not in glance[0]
    # Only the worst hosts are unfolded.
    assert len(re.findall(r'<details class="host \w+" open>', text)) == 20
    assert not folded(text, "gpu0007.example.com")
    assert folded(text, "gpu0021.example.com")
    # A finding of many hosts is listed once.
    spread = text.partition('<table class="spread">')[2].partition("</table>")[0]
    assert re.findall(r"<code>([^<]*)", spread)[:2] == ["firewall.loaded", "nvidia.driver"]


def test_a_small_fleet_is_not_folded() -> None:
    text = page(pages.everything())
    assert 'class="good"' not in text
    assert not folded(text, "gpu3.example.com")
    assert folded(text, "gpu2.example.com")


@pytest.mark.parametrize(
    ("hosts", "says"),
    [
        ("", "No host was checked"),
        ("gpu1", "The host is as applied"),
        ("gpu3", "The host needs attention"),
        ("gpu4", "Nothing has drifted; the host needs a deploy"),
        ("gpu1 gpu2 cpu1", "All 3 hosts are as applied"),
        ("gpu1 gpu4", "Nothing has drifted; 1 of 2 hosts needs a deploy"),
        ("gpu1 gpu4 fresh", "Nothing has drifted; 2 of 3 hosts need a deploy"),
        ("gpu3 gpu4", "1 of 2 hosts needs attention"),
        ("gpu3 gpu6", "2 of 2 hosts need attention"),
    ],
)
def test_headline(hosts: str, says: str) -> None:
    by_name = {one.host.partition(".")[0]: one for one in pages.everything().hosts}
    text = page(DriftReport(tuple(by_name[name] for name in hosts.split()), pages.AT))
    assert f"<h1>{says}</h1>" in text


def test_a_web_server_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "drift.html"
    file.write_text("old", "utf-8")
    text = page(pages.hostile())
    write(file, text)
    assert file.read_bytes().decode() == text
    assert file.stat().st_mode & 0o777 == 0o644
    assert [one.name for one in tmp_path.iterdir()] == ["drift.html"]

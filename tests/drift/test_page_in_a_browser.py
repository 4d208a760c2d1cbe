"""The page in a browser: small and large screens, light and dark."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuhost.outputs.drift_page import page
from tests.drift import pages
from tests.drift.browser import Browser, Picture

pytestmark = pytest.mark.slow

PHONE, DESK = 360, 1280
SIZES = [(width, dark) for width in (PHONE, DESK) for dark in (False, True)]
# Unfolds everything, and measures overflow, contrast and visible text.
LOOK = """
document.querySelectorAll('details').forEach(one => one.open = true);
const name = one => one.tagName + '.' + one.className + ' ' + one.textContent.trim().slice(0, 40);
const all = [...document.body.querySelectorAll('*')].filter(one => one.tagName !== 'SCRIPT');
const outside = one => !one.closest('.scroller') || one.matches('.scroller');
const light = text => {
    const [r, g, b] = text.match(/[\\d.]+/g).map(n => n / 255)
        .map(n => n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = one => {
    const colour = getComputedStyle(one).backgroundColor;
    return colour === 'rgba(0, 0, 0, 0)' && one.parentElement ? ground(one.parentElement) : colour;
};
const contrast = one => {
    const both = [light(getComputedStyle(one).color), light(ground(one))].sort((a, b) => b - a);
    return (both[0] + 0.05) / (both[1] + 0.05);
};
const speaks = one => [...one.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
return {
    width: innerWidth,
    dark: matchMedia('(prefers-color-scheme: dark)').matches,
    needed: document.documentElement.scrollWidth,
    wide: all.filter(outside).filter(one => one.getBoundingClientRect().right > innerWidth)
        .map(name),
    cut: [...document.querySelectorAll('pre, dd, h3, h4, p, li')]
        .filter(one => one.scrollWidth > one.clientWidth + 1 && one.clientWidth).map(name),
    faint: all.filter(speaks).filter(one => contrast(one) < 4.5).map(name),
    text: document.body.innerText,
    title: document.title,
    ground: light(getComputedStyle(document.body).backgroundColor),
    grids: [...document.querySelectorAll('.scroller')]
        .map(one => one.scrollWidth > one.clientWidth),
    planted: document.querySelectorAll('body script, img').length,
};
"""
FOLLOW = """
const link = document.querySelector('a[href="' + HREF + '"]');
link.click();
const target = document.getElementById(HREF.slice(1));
const top = target.getBoundingClientRect().top;
return {open: target.closest('details').open, seen: top >= 0 && top < innerHeight};
"""


@pytest.mark.parametrize(("width", "dark"), SIZES)
def test_the_page_fits_and_is_readable(tmp_path: Path, width: int, dark: bool) -> None:
    text = page(pages.everything(), new=pages.NEW)
    found = Browser(tmp_path, width, dark=dark).measure(text, LOOK)
    assert (found["width"], found["dark"]) == (width, dark)
    assert found["needed"] <= width
    assert found["wide"] == []
    assert found["cut"] == []
    assert found["faint"] == []
    assert (found["ground"] < 0.1) is dark
    # Only the grid is wider than a phone, and it scrolls in its own box.
    assert found["grids"] == [width == PHONE]
    for said in (
        "5 of 10 hosts need attention",
        "nvidia.driver",
        "Failed to initialize NVML: Driver/library version mismatch",
        "then hold the NVIDIA packages, so that automatic upgrades cannot do it again.",
        "Accepted until 2026-12-31",
    ):
        assert said in found["text"], said


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_host_can_neither_run_anything_nor_break_the_page(tmp_path: Path, width: int) -> None:
    text = page(pages.hostile())
    found = Browser(tmp_path, width).measure(text, LOOK)
    assert found["title"].startswith("3 of 3 hosts need attention")
    # The only script is the one that measures.
    assert found["planted"] == 1
    assert "<script>document.title = 'taken'</script>" in found["text"]
    assert found["needed"] <= width
    assert found["wide"] == []


@pytest.mark.parametrize(("width", "dark"), SIZES)
def test_the_page_is_not_blank(tmp_path: Path, width: int, dark: bool) -> None:
    shot = Browser(tmp_path, width, dark=dark).screenshot(page(pages.everything(), new=pages.NEW))
    picture = Picture.read(shot)
    assert (picture.width, picture.height) == (width, 800)
    assert len(set(picture.lines)) > picture.height / 3


def test_in_a_large_fleet_a_folded_host_unfolds_by_its_link(tmp_path: Path) -> None:
    text = page(pages.many())
    browser = Browser(tmp_path, PHONE)
    assert browser.measure(text, LOOK)["needed"] <= PHONE
    for href in ("#h90", "#h90-nvidia.driver"):
        followed = browser.measure(text, FOLLOW.replace("HREF", repr(href)))
        assert followed == {"open": True, "seen": True}, href

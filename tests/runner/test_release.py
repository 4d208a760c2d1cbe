"""A release, opened from its directory."""

from __future__ import annotations

import pytest

from gpuhost.runner.plan import BadPlan
from gpuhost.runner.state.release import Owned, Release
from tests.runner.host_fixtures import NEW, App, app

__all__ = ["app"]


@pytest.mark.parametrize("name", ("generated.json", "record.json", "given.json"))
@pytest.mark.parametrize("text", ("", "{", "[]", '"text"', '{"tags": 7, "a": "planted'))
def test_a_damaged_file_is_named_without_its_content(app: App, name: str, text: str) -> None:
    paths = app.release().paths
    home = app.paths.home if name == "generated.json" else paths.home
    (home / name).write_text(text)
    with pytest.raises(BadPlan, match=rf"{name} is damaged") as raised:
        Release.open(app.paths, NEW)
    assert "planted" not in str(raised.value)


def test_a_record_with_wrong_types_is_damaged(app: App) -> None:
    app.release().paths.record.write_text('{"tags": 7}')
    with pytest.raises(BadPlan, match=r"record\.json is damaged"):
        Release.open(app.paths, NEW)


def test_the_record_is_stored(app: App) -> None:
    release = app.release()
    release.remember(took={"up": 1.5}, directories={"data": Owned(1, 2, 0o2750)})
    assert Release.open(app.paths, NEW).record == release.record

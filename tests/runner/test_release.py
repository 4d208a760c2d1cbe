"""A release as it is opened from its directory."""

from __future__ import annotations

import pytest

from gpuhost.runner.plan import BadPlan
from gpuhost.runner.state.release import Owned, Release
from tests.runner.at_hand import NEW, App, app

__all__ = ["app"]


@pytest.mark.parametrize("name", ("generated.json", "record.json", "given.json"))
@pytest.mark.parametrize("text", ("", "{", "[]", '"text"', '{"tags": 7, "a": "planted'))
def test_what_is_damaged_is_named_and_not_shown(app: App, name: str, text: str) -> None:
    paths = app.release().paths
    home = app.paths.home if name == "generated.json" else paths.home
    (home / name).write_text(text)
    with pytest.raises(BadPlan, match=rf"{name} is damaged") as raised:
        Release.open(app.paths, NEW)
    assert "planted" not in str(raised.value)


def test_a_record_of_another_shape_is_damaged(app: App) -> None:
    app.release().paths.record.write_text('{"tags": 7}')
    with pytest.raises(BadPlan, match=r"record\.json is damaged"):
        Release.open(app.paths, NEW)


def test_what_it_remembers_is_there_when_it_is_opened_again(app: App) -> None:
    release = app.release()
    release.remember(took={"up": 1.5}, directories={"data": Owned(1, 2, 0o2750)})
    assert Release.open(app.paths, NEW).record == release.record

"""Plans from the original to a mirror, to another mirror, and to the original again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from gpuhost.domain.apt.archive import Distribution
from gpuhost.domain.apt.entry import SourceFile
from gpuhost.domain.apt.mirrors import Mirror, mirror_called
from gpuhost.domain.apt.plan import HostSources, Plan, to_mirror, to_original
from gpuhost.domain.apt.record import Record
from tests.apt.cases import Case, all_cases

CASES = all_cases()
by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
LIST = "/etc/apt/sources.list"


def choice(mirror: Mirror) -> Record:
    return Record(setting=mirror.name, mirror=mirror.name, base=mirror.base)


@dataclass(frozen=True)
class FakeHost:
    """The files of a host, and the effect of a plan on them."""

    files: dict[str, str]
    distribution: Distribution
    saved: dict[str, str]
    record: Record | None = None

    @classmethod
    def of(cls, case: Case) -> FakeHost:
        return cls(case.before, case.distribution, {})

    @property
    def sources(self) -> HostSources:
        return HostSources(
            tuple(SourceFile(path, text) for path, text in self.files.items()),
            tuple(SourceFile(path, text) for path, text in self.saved.items()),
            self.record,
            self.distribution,
        )

    def after(self, plan: Plan) -> FakeHost:
        saved = {**self.saved, **{file.path: file.content for file in plan.originals}}
        return replace(
            self,
            files={**self.files, **{file.path: file.content for file in plan.files}},
            saved={path: text for path, text in saved.items() if path not in plan.stale},
            record=plan.record,
        )

    def at(self, mirror: Mirror, *, with_security: bool = False) -> FakeHost:
        return self.after(to_mirror(self.sources, choice(mirror), with_security=with_security))

    def edited(self, path: str, old: str, new: str) -> FakeHost:
        assert old in self.files[path]
        return replace(self, files={**self.files, path: self.files[path].replace(old, new)})


USTC = mirror_called("ustc", https=True)
TUNA = mirror_called("tuna", https=False)


@by_name
def test_a_mirror_writes_the_expected_files_and_keeps_originals(case: Case) -> None:
    host = FakeHost.of(case).at(case.mirror, with_security=case.with_security)
    assert host.files == case.after
    assert host.saved == {path: case.before[path] for path in case.changed}
    assert host.record is not None
    assert set(host.record.written) == set(case.changed)


@by_name
def test_a_second_run_has_nothing_to_do(case: Case) -> None:
    host = FakeHost.of(case).at(case.mirror, with_security=case.with_security)
    again = to_mirror(host.sources, choice(case.mirror), with_security=case.with_security)
    assert again.is_empty


@by_name
def test_the_original_is_restored_byte_for_byte(case: Case) -> None:
    host = FakeHost.of(case).at(USTC).at(TUNA, with_security=True).at(case.mirror)
    back = host.after(to_original(host.sources))
    assert back == FakeHost.of(case)
    assert to_original(back.sources).is_empty


@by_name
def test_another_mirror_leaves_no_trace_of_the_first(case: Case) -> None:
    by_way_of_tuna = FakeHost.of(case).at(TUNA, with_security=True).at(USTC)
    assert by_way_of_tuna.files == FakeHost.of(case).at(USTC).files


def host_called(name: str) -> FakeHost:
    return FakeHost.of(next(case for case in CASES if case.name == name))


def test_a_source_changed_by_hand_is_changed_to_the_mirror_again() -> None:
    host = host_called("debian-12-deb822").at(USTC)
    path = "/etc/apt/sources.list.d/debian.sources"
    tampered = host.edited(path, USTC.base, "http://other.example.invalid")
    plan = to_mirror(tampered.sources, choice(USTC), with_security=False)
    assert not plan.is_empty
    assert tampered.after(plan).files == host.files


def test_a_later_edit_survives_the_restoration() -> None:
    before = host_called("ubuntu-22.04-one-line")
    added = "deb https://download.docker.com/linux/ubuntu jammy stable\n"
    host = before.at(USTC)
    edited = replace(host, files={LIST: host.files[LIST] + added})
    back = edited.after(to_original(edited.sources))
    assert back.files[LIST] == before.files[LIST].replace("/ubuntu/ ", "/ubuntu/ ") + added


def test_a_later_edit_survives_another_mirror_and_the_restoration() -> None:
    before = host_called("ubuntu-22.04-one-line")
    added = "deb https://download.docker.com/linux/ubuntu jammy stable\n"
    host = before.at(USTC)
    edited = replace(host, files={LIST: host.files[LIST] + added}).at(TUNA)
    assert edited.saved[LIST] == before.files[LIST] + added
    assert edited.after(to_original(edited.sources)).files[LIST] == before.files[LIST] + added


def test_an_upgraded_release_is_not_downgraded() -> None:
    path = "/etc/apt/sources.list.d/debian.sources"
    before = host_called("debian-12-deb822")
    host = before.at(USTC).edited(path, "bookworm", "trixie")
    host = replace(host, distribution=replace(host.distribution, codename="trixie"))
    back = host.after(to_original(host.sources))
    assert back.files[path] == before.files[path].replace("bookworm", "trixie")
    assert back.saved == {}


def test_an_edited_mirror_list_is_replaced_by_the_saved_one() -> None:
    path = "/etc/apt/mirrors/debian.list"
    before = host_called("debian-12-cloud-image")
    host = before.at(USTC).edited(path, "/debian\n", "/debian\n# a note\n")
    assert host.after(to_original(host.sources)).files == before.files


def test_a_disabled_line_is_enabled_again_in_an_edited_file() -> None:
    before = host_called("mixed-formats")
    host = before.at(USTC)
    edited = replace(host, files={**host.files, LIST: host.files[LIST] + "# a note\n"})
    back = edited.after(to_original(edited.sources))
    kept = [line for line in back.files[LIST].splitlines() if line.startswith("deb ")]
    assert len(kept) == 3


def test_a_file_of_gpuhost_for_the_mirror_is_changed_to_the_original_too() -> None:
    path = "/etc/apt/sources.list.d/gpuhost-extra.sources"
    before = host_called("debian-12-deb822")
    made = """# Written by gpuhost: more components.
Types: deb
URIs: {}
Suites: bookworm
Components: non-free
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
    on_mirror = before.at(USTC)
    at_mirror = made.format(USTC.uri("debian"))
    on_mirror = replace(on_mirror, files={**on_mirror.files, path: at_mirror})
    settled = on_mirror.at(USTC)
    assert settled.files == on_mirror.files
    assert to_mirror(settled.sources, choice(USTC), with_security=False).is_empty
    back = settled.after(to_original(settled.sources))
    original = made.format("http://archive.example.invalid/debian")
    assert back.files == {**before.files, path: original}


def test_a_file_of_another_owner_keeps_the_mirror() -> None:
    path = "/etc/apt/sources.list.d/mine.list"
    mine = f"deb {USTC.uri('debian')} bookworm-backports main\n"
    before = host_called("debian-12-deb822")
    before = replace(before, files={**before.files, path: mine})
    host = before.at(USTC)
    assert host.after(to_original(host.sources)) == before


def test_without_a_usable_candidate_the_original_is_restored_and_recorded() -> None:
    before = host_called("debian-13-deb822")
    host = before.at(USTC)
    none = Record(setting="auto", mirror="", base="", passed_over={"ustc": "timed out"})
    plan = to_mirror(host.sources, none, with_security=False)
    back = host.after(plan)
    assert (back.files, back.saved) == (before.files, {})
    assert back.record == none
    assert to_mirror(back.sources, none, with_security=False).is_empty


def test_the_original_is_restored_without_a_record() -> None:
    before = host_called("debian-13-deb822")
    host = replace(before.at(USTC), record=None)
    assert host.at(USTC).record == before.at(USTC).record


def test_a_deleted_file_is_not_restored() -> None:
    host = host_called("mixed-formats").at(USTC)
    deleted = replace(host, files={p: t for p, t in host.files.items() if p != LIST})
    back = deleted.after(to_original(deleted.sources))
    assert LIST not in back.files
    assert back.saved == {}


def test_the_suites_in_use_are_those_of_the_distribution() -> None:
    host = host_called("third-party-lists")
    assert host.sources.own_suites() == (
        ("debian", "bookworm"),
        ("debian", "bookworm-updates"),
        ("debian-security", "bookworm-security"),
        ("debian", "bookworm-backports"),
    )
    assert host.at(USTC).sources.own_suites() == host.sources.own_suites()

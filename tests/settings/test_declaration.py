"""From declared values to Settings: refused values, the messages, and where a value was set."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyinfra.api.inventory import Inventory

from gpuhost.settings import Settings, fields
from gpuhost.settings.allowed_values import describe_allowed, unit_of
from gpuhost.settings.merge import BadSettings, Layer, describe_value, merge_layers, settings_of

# A declared value, and the text that its one line contains.
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"gpu": "yes"}, 'gpu = \'yes\' (here): one of "auto", "required", "none"'),
    ({"adopt": "yes"}, "adopt = 'yes' (here): True or False"),
    ({"gpu_count": 0}, "gpu_count = 0 (here): None or a whole number, at least 1"),
    ({"gpu_count": True}, "gpu_count = True (here): None or a whole number, at least 1"),
    ({"swap_size_gb": "16"}, "swap_size_gb = '16' (here): \"auto\" or a number of GB"),
    ({"swap_size_gb": -3}, "swap_size_gb = -3 (here): swap_size_gb must not be negative"),
    ({"cuda": 12.1}, 'cuda = 12.1 (here): None or a CUDA version in quotes, such as "12.1"'),
    ({"cuda": "12"}, "cuda = '12' (here): None or a CUDA version in quotes, such as \"12.1\""),
    ({"apt_mirror": "usct"}, 'apt_mirror = \'usct\' (here): None or "auto" or "aliyun" or "tuna"'),
    (
        {"firewall_allow": "80/tcp"},
        "firewall_allow = '80/tcp' (here): a list, each item a rule, such as \"80/tcp\"",
    ),
    ({"firewall_allow": ["80/tpc"]}, "firewall_allow = ['80/tpc'] (here): 'tpc' is not a protocol"),
    (
        {"toolkit_test_image": "--privileged"},
        "toolkit_test_image = '--privileged' (here): None or an image, such as \"ubuntu:24.04\"",
    ),
    ({"toolkit_test_image": "a b"}, "toolkit_test_image = 'a b' (here): None or an image"),
    ({"apps": ["TTS"]}, "apps = ['TTS'] (here): a list, each item an app, such as \"tts\""),
    ({"app_batch": 0}, "app_batch = 0 (here): a whole number, at least 1"),
    (
        {"build_args": {"A B": "c"}},
        "build_args = {'A B': ***} (here): a dictionary, a build argument's name to a string",
    ),
    ({"build_args": {"A": 1}}, "build_args = {'A': ***} (here): a dictionary, a build argument's"),
    (
        {"build_apt_cache": "yes"},
        "build_apt_cache = 'yes' (here): \"auto\" or True or False",
    ),
    ({"swap_path": "swap"}, "swap_path = 'swap' (here): must be an absolute path"),
    (
        {"docker_features": {1: 2}},
        "docker_features = {1: 2} (here): a dictionary, a string to True",
    ),
    (
        {"apt_mirror_candidates": []},
        'apt_mirror_candidates = [] (here): a list, each item "aliyun"',
    ),
    (
        {"gpu": "none", "cuda": "12.1"},
        "gpu = 'none' (here), cuda = '12.1' (here): cuda needs gpu other than \"none\"",
    ),
    (
        {"nvidia_reboot": True},
        'nvidia_reboot = True (here): nvidia_reboot=True needs nvidia_driver="install"',
    ),
]
NEAR_MISSES = {
    "swap_sizegb": "swap_size_gb",
    "swap_size_GB": "swap_size_gb",
    "SWAP_SIZE_GB": "swap_size_gb",
    "swap-size-gb": "swap_size_gb",
    "docker_registry_mirror": "docker_registry_mirrors",
    "firewall_allowed": "firewall_allow",
    "nvidia_drivers": "nvidia_driver",
    "cudaa": "cuda",
    "gpus": "gpu",
    **{
        name.rpartition("_")[0]: name
        for name, field in fields().items()
        if unit_of(field) and name.endswith(f"_{unit_of(field).lower()}")
    },
}
OF_OTHERS = {
    "ssh_user": "root",
    "ssh_known_hosts_file": "x",
    "_sudo": True,
    "_sudo_password": "secret",
    "app": "tts",
    "app_name": "tts",
    "swap_partner": "bob",
    "owner": "me",
    "docker_compose_files": ["a"],
    "swap_file": "/swap",
    "gpu_hosts": 3,
    7: "numbers are keys too",
}


def refused(values: dict[Any, Any], where: str = "here") -> str:
    with pytest.raises(BadSettings) as error:
        merge_layers([Layer(where, values)])
    (line,) = error.value.lines
    assert "\n" not in line
    return line


@pytest.mark.parametrize(("values", "says"), REFUSED, ids=lambda value: str(value)[:40])
def test_refused_in_one_line(values: dict[str, Any], says: str) -> None:
    assert refused(values).startswith(says)


@pytest.mark.parametrize(("written", "meant"), NEAR_MISSES.items())
def test_close_matches(written: str, meant: str) -> None:
    assert refused({written: 1}) == f"unknown setting {written} (here): did you mean {meant}?"


@pytest.mark.parametrize(
    "image",
    [
        "ubuntu:24.04",
        "nvcr.io/nvidia/cuda:12.4.1-base-ubuntu22.04",
        "Registry.example.com:5000/a/b_c@sha256:" + 64 * "0",
    ],
)
def test_images(image: str) -> None:
    assert merge_layers([Layer("here", {"toolkit_test_image": image})]).toolkit_test_image == image


def test_a_setting_without_its_unit_is_a_close_match() -> None:
    assert {"swap_size", "apt_mirror_max_age", "firewall_confirm"} <= NEAR_MISSES.keys()
    assert len([name for name, field in fields().items() if unit_of(field)]) == 7


def test_other_data_is_ignored() -> None:
    assert merge_layers([Layer("here", OF_OTHERS)]) == Settings()


def test_all_errors_are_reported_at_once() -> None:
    with pytest.raises(BadSettings) as error:
        merge_layers([Layer("here", {"gpu": "yes", "cuda": 12.1, "swap_sizegb": 1})])
    assert len(error.value.lines) == 3


def test_the_first_layer_that_has_a_key_wins() -> None:
    layers = [
        Layer("--data", {"memory_min_gb": 1}),
        Layer("host", {"memory_min_gb": "x", "disk_min_free_gb": 2}),
        Layer("group", {"disk_min_free_gb": 3, "gpu_count": 4}),
    ]
    made = merge_layers(layers)
    assert (made.memory_min_gb, made.disk_min_free_gb, made.gpu_count) == (1, 2, 4)


def test_a_number_on_the_command_line_that_should_be_text() -> None:
    line = refused({"nvidia_branch": 580}, "--data")
    assert line.endswith("; in a shell: --data 'nvidia_branch=\"580\"'")
    assert "in a shell" not in refused({"nvidia_branch": 580}, "group gpu")
    assert "in a shell" not in refused({"gpu_count": 0}, "--data")


@pytest.mark.parametrize(
    "url", ["user:hunter2@proxy:3128", "ftp://user:hunter2@proxy", "http://u:hunter2@p x"]
)
def test_a_password_is_never_shown(url: str) -> None:
    assert "hunter2" not in refused({"proxy_http": url})
    assert "hunter2" not in refused({"docker_registry_mirrors": ["https://ok.example.com", url]})


@pytest.mark.parametrize(
    "value",
    [
        {"TOKEN": ["hunter2"]},
        {"TO KEN": "hunter2"},
        {"TOKEN": "good", "OTHER": {"hunter2": 1}},
        ["TOKEN=hunter2"],
        "TOKEN=hunter2",
    ],
)
@pytest.mark.parametrize("where", ["here", "--data"])
def test_a_build_argument_is_never_shown(value: Any, where: str) -> None:
    line = refused({"build_args": value}, where)
    assert "hunter2" not in line
    names = [*value] if isinstance(value, dict) else []
    assert line.startswith("build_args = ")
    assert all(f"'{name}': ***" in line for name in names)


URLS = [
    "apt_mirror",
    "apt_mirror_candidates",
    "docker_mirror",
    "docker_registry_mirrors",
    "nvidia_mirror",
    "toolkit_mirror",
]
NO_LOGIN = " (here): must be a URL without a user name or password"
WITH_LOGIN = ["https://user:hunter2@mirror.example.com/debian", "http://token@10.0.0.1:8080"]


def _value(key: str, url: str) -> Any:
    return [url] if get_origin(fields()[key].annotation) is tuple else url


@pytest.mark.parametrize("url", WITH_LOGIN)
@pytest.mark.parametrize("key", URLS)
def test_a_mirror_has_no_login(key: str, url: str) -> None:
    line = refused({key: _value(key, url)})
    assert line.endswith("***@" + repr(_value(key, url)).rpartition("@")[2] + NO_LOGIN)


def test_only_proxies_have_a_login() -> None:
    """URLS are all settings that take a URL, except the proxies."""

    def taking(url: str) -> set[str]:
        return {key for key in fields() if _is_taken(key, _value(key, url))}

    plain, with_login = taking("https://mirror.example.com/a@b"), taking(WITH_LOGIN[0])
    assert plain - with_login == set(URLS)
    assert {"proxy_http", "proxy_https"} <= with_login


def _is_taken(key: str, value: Any) -> bool:
    try:
        merge_layers([Layer("here", {key: value})])
    except BadSettings:
        return False
    return True


def test_a_long_value_is_cut() -> None:
    assert len(refused({"gpu": "x" * 5000})) < 300


def a_host(**data: Any) -> Inventory:
    """An inventory with a host in two groups; data by layer."""
    return Inventory(
        (["gpu1"], data.get("everybody", {})),
        override_data=data.get("override", {}),
        first=([("gpu1", data.get("own", {}))], data.get("first", {})),
        second=(["gpu1"], data.get("second", {})),
    )


@pytest.mark.parametrize(
    ("layer", "where"),
    [
        ("override", "--data"),
        ("own", "the inventory, host gpu1"),
        ("second", "group second"),
        ("first", "group first"),
        ("everybody", "group_data/all.py"),
    ],
)
def test_where_a_value_was_set(layer: str, where: str) -> None:
    host = a_host(**{layer: {"gpu": "yes"}}).get_host("gpu1")
    with pytest.raises(BadSettings, match=r"^gpu = 'yes' \((.*)\): one of") as error:
        settings_of(host)
    assert f"({where})" in str(error.value)


def test_layers_win_as_in_pyinfra() -> None:
    layers = ("everybody", "first", "second", "own", "override")
    for upto in range(1, len(layers) + 1):
        data = {layer: {"gpu_count": 1 + at} for at, layer in enumerate(layers[:upto])}
        host = a_host(**data).get_host("gpu1")
        assert settings_of(host).gpu_count == host.data.gpu_count == upto


def test_formatted_values_hide_passwords() -> None:
    host = a_host(own={"ssh_password": "hunter2"}, first={"ssh_port": "22"}).get_host("gpu1")
    assert describe_value(host, "ssh_password") == "ssh_password = *** (the inventory, host gpu1)"
    assert describe_value(host, "ssh_port") == "ssh_port = '22' (group first)"


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.complex_numbers(),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner),
        st.dictionaries(st.one_of(st.text(max_size=5), st.integers()), inner, max_size=3),
        st.sets(st.integers(), max_size=2),
    ),
    max_leaves=4,
)
OUR_KEYS = st.sampled_from(list(fields()))
THEIR_KEYS = st.one_of(st.text(), st.integers(), st.tuples(st.integers()))


@settings(max_examples=300)
@given(values=st.dictionaries(st.one_of(OUR_KEYS, THEIR_KEYS), ANYTHING, max_size=4))
def test_any_value_is_accepted_or_refused(values: dict[Any, Any]) -> None:
    with suppress(BadSettings):
        assert isinstance(merge_layers([Layer("here", values)]), Settings)


@given(key=OUR_KEYS, value=ANYTHING)
def test_a_refusal_names_the_key_and_the_place(key: str, value: Any) -> None:
    try:
        merge_layers([Layer("the 7th layer", {key: value})])
    except BadSettings as error:
        (line,) = error.lines
        assert line.startswith(f"{key} = ")
        assert "(the 7th layer): " in line


@given(key=OUR_KEYS)
def test_every_setting_describes_its_allowed_values(key: str) -> None:
    words = describe_allowed(fields()[key])
    assert words
    assert not any(jargon in words for jargon in ("typing", "class", "Annotated", "Literal"))

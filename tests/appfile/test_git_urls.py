"""Which URLs of repositories are accepted: nothing that git or ssh would take for an option."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gpuhost.appfile.source import Source


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/me/app.git",
        "http://git.example:3000/me/app",
        "https://[2001:db8::1]:8443/app.git",
        "https://gitee.com/me/应用.git",
        "https://dev.example/org/a%20project/_git/app",
        "ssh://git@git.example:2222/me/app.git",
        "ssh://git.example/srv/app.git",
        "ssh://git@git_server/~me/app.git",
        "git@github.com:me/app.git",
        "git@git.example:/srv/app.git",
        "git@git.example:~/app.git",
        "deploy-1@git.example:app.git",
        "git@[2001:db8::1]:app.git",
    ],
)
def test_accepted(url: str) -> None:
    assert Source(git=url).git == url


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch x",
        "-oProxyCommand=x",
        "ssh://-oProxyCommand=touch/x",
        "ssh://-oProxyCommand=touch@host/x",
        "ssh://git@-oProxyCommand=touch/x",
        "ssh://%2doProxyCommand=touch@host/x",
        "ssh://git@host:-oProxyCommand/x",
        "git@-oProxyCommand:x",
        "-oProxyCommand@host:x",
        "git@host:-x",
        "git@host:",
        "https://-x/y",
        "https:///y",
        "https://host",
        "https://host /y",
        "https://host/y\n",
        "https://host/y\x7f",
        "https://host/\x00y",
        "file:///etc",
        "/srv/app.git",
        "ext::sh -c touch% x",
        "git://host/x",
        "host:x",
    ],
)
def test_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Source(git=url)


@pytest.mark.parametrize(
    "url", ["https://me:PLANTED@host/y", "https://:PLANTED@host/y", "ssh://me:PLANTED@host/y"]
)
def test_a_login_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValidationError, match="set token to the name of a secret") as raised:
        Source(git=url)
    assert raised.value.errors(include_input=False, include_url=False)[0]["type"] == "value_error"

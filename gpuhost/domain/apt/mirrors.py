"""The mirrors that `apt_mirror` can name, and the archives they carry.

Hosts and paths: the help pages of mirrors.ustc.edu.cn and mirrors.tuna.tsinghua.edu.cn (mirrorz),
and for Aliyun, Tencent and Huawei the list of LinuxMirrors (SuperManito/LinuxMirrors, 2026-05):
all five use the same path for the same archive, over http and https.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Archive = Literal["debian", "debian-security", "ubuntu", "ubuntu-ports"]
ARCHIVES: tuple[Archive, ...] = get_args(Archive)

HOSTS = {
    "aliyun": "mirrors.aliyun.com",
    "tuna": "mirrors.tuna.tsinghua.edu.cn",
    "ustc": "mirrors.ustc.edu.cn",
    "tencent": "mirrors.tencent.com",
    "huawei": "mirrors.huaweicloud.com",
}
# Other names of the same servers, which Dockerfiles use.
ALL_HOSTS = (*HOSTS.values(), "mirrors.cloud.tencent.com", "repo.huaweicloud.com")


@dataclass(frozen=True)
class Mirror:
    """A server that carries a distribution's archives, each under its usual name.

    + name: as in `apt_mirror`: a known mirror, or the URL that the user gave.
    + base: URL that the archive's name follows, without a slash at its end.

    **Example:**

    .. code:: python

        Mirror("ustc", "https://mirrors.ustc.edu.cn").uri("ubuntu-ports")
    """

    name: str
    base: str

    def uri(self, archive: Archive) -> str:
        return f"{self.base}/{archive}"


def mirror_called(name: str, *, https: bool) -> Mirror:
    """The mirror that `apt_mirror` means.

    + name: a key of `HOSTS`, or a URL: of the server (`https://mirror.example`), or of one of its
      archives (`https://mirror.example/debian`); the others are then expected beside it.
    + https: whether the host can verify certificates; a URL keeps the scheme it has.
    """
    if name in HOSTS:
        return Mirror(name, f"{'https' if https else 'http'}://{HOSTS[name]}")
    base = name.rstrip("/")
    parent, _, last = base.rpartition("/")
    return Mirror(name, parent if last in ARCHIVES else base)

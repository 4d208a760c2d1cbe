"""Known failures of apt and dpkg.

The patterns are texts from the sources of these tools and from users' reports.
"""

from __future__ import annotations

from gpuhost.runner.failures.signature import Signature

MIRROR = "set a mirror that works (apt_mirror), or a proxy (proxy_http)"
KNOWN = (
    Signature(
        r"Failed to fetch (?P<url>\S+)\s.*"
        r"(?:CONNECT denied|Invalid response from proxy: (?P<why>.*))",
        "apt: the proxy of the builds does not pass on {url}: {why}",
        "let the proxy pass on HTTPS (CONNECT to port 443); run deploys/gpu_host.py if it is "
        "gpuhost's own cache (build_apt_cache)",
    ),
    Signature(
        r"Could not get lock (?P<path>\S+)",
        "apt: another process has locked {path}",
        "wait until unattended-upgrades or the other apt has ended, then release again",
    ),
    Signature(
        r"NO_PUBKEY (?P<key>\w+)",
        "apt does not have the key of a repository {key}",
        "install the repository's key, and name it with signed-by in the sources file",
    ),
    Signature(
        r"Hash Sum mismatch|File has unexpected size",
        "apt: the mirror is being updated, or a cache is stale",
        "release again in a few minutes, or set another mirror (apt_mirror)",
    ),
    Signature(
        r"dpkg was interrupted",
        "apt: an earlier dpkg was interrupted",
        "run dpkg --configure -a in the step before",
    ),
    Signature(
        r"Release file for (?P<url>\S+) is (?:not valid yet|expired)",
        "apt: the index of {url} has expired or is not valid yet: the clock of this host is "
        "wrong, or the mirror is no longer updated",
        "check the clock with `timedatectl`; if it is right, set another mirror (apt_mirror)",
    ),
    Signature(
        r"The repository '(?P<url>[^']+)' does not have a Release file|"
        r"The repository '(?P<url_gone>[^']+)' no longer has a Release file",
        "apt: no repository at {url}{url_gone}",
        "use a newer base image, or set a mirror that still has this release (apt_mirror)",
    ),
    Signature(
        r"Failed to fetch (?P<url>\S+)\s+404 ",
        "apt: {url} is no longer on the mirror",
        "run `apt-get update` in the same RUN as the installation, or set build.no_cache: the "
        "package lists are older than the mirror",
    ),
    Signature(
        r"Failed to fetch (?P<url>\S+)\s.*(?:certificate verif|Certificate verif|SSL|TLS)",
        "apt does not trust the certificate of {url}",
        "install ca-certificates before the https archive is added, and copy a private CA to "
        "/usr/local/share/ca-certificates; check the host's clock with `timedatectl`",
    ),
    Signature(
        r"[EW]: Failed to fetch (?P<url>\S+)\s*(?P<why>.*)",
        "apt cannot download from the mirror, {url}: {why}",
        MIRROR,
    ),
    Signature(
        r"Some index files failed to download|Unable to fetch some archives|"
        r"Err:\d+ .*(?:Connection|Could not|Cannot initiate|Temporary failure)",
        "apt cannot reach a mirror, or only a part of it",
        MIRROR,
    ),
    Signature(
        r"(?:Could not|Unable to) connect to (?P<host>[^\s:]+:\w+)",
        "apt cannot connect to the mirror {host}",
        MIRROR,
    ),
    Signature(
        r"Version '(?P<version>[^']+)' for '(?P<package>[^']+)' was not found",
        "apt: the mirror does not have {package} {version}: mirrors keep only the newest",
        "remove the version, or set one that `apt-cache policy {package}` shows in the image",
    ),
    Signature(
        r"Unable to locate package (?P<package>\S+)|"
        r"Package '?(?P<other>[^'\s]+)'? has no installation candidate",
        "apt does not know the package {package}{other}",
        "run `apt-get update` in the same RUN; if that does not help, correct the name of the "
        "package for this distribution",
        weak=True,
    ),
    Signature(
        r"The following packages have unmet dependencies",
        "apt: packages need others that cannot be installed together",
        "use packages of the base image's own distribution and release; the lines after "
        '"unmet dependencies" name them',
        weak=True,
    ),
    Signature(
        r"(?:^|\s)E: (?P<said>.+)",
        "apt: {said}",
        "",
        weak=True,
    ),
)

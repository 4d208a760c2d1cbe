"""Known failures of builds: apt, BuildKit, pip, npm.

The patterns are texts from the sources of these tools and from users' reports.
"""

from __future__ import annotations

from gpuhost.runner.failures.signature import Signature

APT = (
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
        r"[EW]: Failed to fetch (?P<url>\S+)",
        "apt cannot download {url}",
        "set a mirror that works (apt_mirror), or a proxy (proxy_http)",
    ),
    Signature(
        r"Some index files failed to download|Unable to fetch some archives|"
        r"Err:\d+ .*(?:Connection|Could not|Cannot initiate|Temporary failure)",
        "apt cannot reach a mirror, or only a part of it",
        "set a mirror that works (apt_mirror), or a proxy (proxy_http)",
    ),
    Signature(
        r"Unable to locate package (?P<package>\S+)",
        "apt does not know the package {package}",
        "run `apt-get update` in the same RUN; if that does not help, correct the name of the "
        "package for this distribution",
    ),
    Signature(
        r"(?:^|\s)E: (?P<said>.+)",
        "apt: {said}",
        "",
    ),
)
BUILD = (
    Signature(
        r"failed to read dockerfile: open (?P<path>[^:]+)",
        "no {path} in the build context",
        "correct build.context or build.dockerfile of the service",
    ),
    Signature(
        r"target stage \"?(?P<target>[^\"\s]+)\"? could not be found",
        "the Dockerfile has no stage {target}",
        "correct build.target of the service",
    ),
    Signature(
        r"failed to compute cache key: .*?\"?(?P<path>/[^\":]+)\"?: not found|"
        r"failed to calculate checksum of ref \S+ \"?(?P<other>/[^\":]+)\"?: not found",
        "COPY or ADD: {path}{other} is not in the build context",
        "commit the file, and remove it from .dockerignore; paths are relative to build.context",
    ),
    Signature(
        r"dockerfile parse error|Dockerfile parse error|unknown instruction",
        "the Dockerfile has a syntax error",
        "correct the line that the output names",
    ),
    Signature(
        r"exec format error",
        "a program for another processor architecture, or a script without #! in its first line",
        "compare Architecture of `docker image inspect IMAGE` with `uname -m` on the host; add #! "
        "to a script",
    ),
    Signature(
        r"\^M|bad interpreter|\\r(?:'|\": no such file)",
        "a script has Windows line endings",
        "run `git config core.autocrlf input`, and `sed -i 's/\\r$//'` on the script",
    ),
    Signature(
        r"No matching distribution found for (?P<package>.+)",
        "pip finds no {package} for this Python and platform",
        "use another version of the package or of Python, or an index that has it (build argument "
        "PIP_INDEX_URL)",
    ),
    Signature(
        r"ReadTimeoutError: \w+\(host='(?P<host>[^']+)'|"
        r"\w+\(host='(?P<other>[^']+)', port=\d+\): (?:Max retries exceeded|Read timed out)",
        "a download from {host}{other} was too slow or did not start",
        "set a mirror (build arguments PIP_INDEX_URL, HF_ENDPOINT) or a proxy (proxy_https)",
    ),
    Signature(
        r"npm (?:ERR!|error) code (?P<code>E\w+)",
        "npm: {code}",
        "for ETIMEDOUT, ENOTFOUND, ECONNRESET: set another registry (NPM_CONFIG_REGISTRY) or a "
        "proxy (proxy_https); for ERESOLVE, EUSAGE: run npm install and commit the lock file",
    ),
    Signature(
        r"Temporary failure (?:in name resolution|resolving '(?P<host>[^']+)')|"
        r"Could not resolve host: (?P<other>\S+)",
        "a container cannot resolve a host name {host}{other}",
        "correct the DNS of the host, which Docker copies into containers, or set a proxy "
        "(proxy_http)",
    ),
)

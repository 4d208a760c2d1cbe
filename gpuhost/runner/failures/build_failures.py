"""What builds and the tools in them say: apt, BuildKit, pip, npm.

Texts are those of the tools, as their sources and users' reports have them.
"""

from __future__ import annotations

from gpuhost.runner.failures.signature import Signature

APT = (
    Signature(
        r"Could not get lock (?P<path>\S+)",
        "apt: another process holds {path}",
        "wait for it to end (unattended-upgrades, another apt), and release again",
    ),
    Signature(
        r"NO_PUBKEY (?P<key>\w+)",
        "apt does not have the key of a repository {key}",
        "install the repository's key and name it with signed-by",
    ),
    Signature(
        r"Hash Sum mismatch|File has unexpected size",
        "apt: a mirror is in the middle of its own update, or a cache between is stale",
        "release again in some minutes, or give another mirror (apt_mirror)",
    ),
    Signature(
        r"dpkg was interrupted",
        "apt: an earlier dpkg was cut off",
        "dpkg --configure -a in the step before",
    ),
    Signature(
        r"Release file for (?P<url>\S+) is (?:not valid yet|expired)",
        "apt: the clock of this host and {url} do not agree, or the mirror is not updated any more",
        "`timedatectl`; else another mirror",
    ),
    Signature(
        r"The repository '(?P<url>[^']+)' does not have a Release file|"
        r"The repository '(?P<url_gone>[^']+)' no longer has a Release file",
        "apt: there is no repository at {url}{url_gone}",
        "that mirror does not have (any more) what the image asks for; a newer base image, or "
        "another mirror",
    ),
    Signature(
        r"Failed to fetch (?P<url>\S+)\s+404 ",
        "apt: {url} is not on the mirror any more",
        "the package lists are older than the mirror: `apt-get update` in the same RUN as the "
        "installation, or build.no_cache",
    ),
    Signature(
        r"[EW]: Failed to fetch (?P<url>\S+)",
        "apt does not get {url}",
        "is the mirror alive? give another (apt_mirror), or set proxy_http",
    ),
    Signature(
        r"Some index files failed to download|Unable to fetch some archives|"
        r"Err:\d+ .*(?:Connection|Could not|Cannot initiate|Temporary failure)",
        "apt reaches a mirror not at all, or not whole",
        "is the mirror alive? give another (apt_mirror), or set proxy_http",
    ),
    Signature(
        r"Unable to locate package (?P<package>\S+)",
        "apt does not know the package {package}",
        "`apt-get update` in the same RUN; is it the name that this distribution has for it?",
    ),
    Signature(
        r"(?:^|\s)E: (?P<said>.+)",
        "apt says {said}",
        "",
    ),
)
BUILD = (
    Signature(
        r"failed to read dockerfile: open (?P<path>[^:]+)",
        "there is no {path} in the build context",
        "build.context and build.dockerfile of the service",
    ),
    Signature(
        r"target stage \"?(?P<target>[^\"\s]+)\"? could not be found",
        "the Dockerfile has no stage {target}",
        "build.target of the service",
    ),
    Signature(
        r"failed to compute cache key: .*?\"?(?P<path>/[^\":]+)\"?: not found|"
        r"failed to calculate checksum of ref \S+ \"?(?P<other>/[^\":]+)\"?: not found",
        "COPY or ADD: {path}{other} is not in the build context",
        "is it committed, and not in .dockerignore? paths are relative to build.context",
    ),
    Signature(
        r"dockerfile parse error|Dockerfile parse error|unknown instruction",
        "the Dockerfile is not understood",
        "the line is named in the output",
    ),
    Signature(
        r"exec format error",
        "a program of another processor architecture, or a script without #! in its first line",
        "`docker image inspect` shows the image's Architecture; the host's is `uname -m`",
    ),
    Signature(
        r"\^M|bad interpreter|\\r(?:'|\": no such file)",
        "a script has Windows line ends",
        "git config core.autocrlf input, and `sed -i 's/\\r$//'` over the script",
    ),
    Signature(
        r"No matching distribution found for (?P<package>.+)",
        "pip finds no {package} for this Python and platform",
        "another version, another Python, or an index that has it (build argument PIP_INDEX_URL)",
    ),
    Signature(
        r"ReadTimeoutError: \w+\(host='(?P<host>[^']+)'|"
        r"\w+\(host='(?P<other>[^']+)', port=\d+\): (?:Max retries exceeded|Read timed out)",
        "a download from {host}{other} was too slow or did not begin",
        "a mirror (build arguments PIP_INDEX_URL, HF_ENDPOINT) or a proxy (proxy_https)",
    ),
    Signature(
        r"npm (?:ERR!|error) code (?P<code>E\w+)",
        "npm: {code}",
        "ETIMEDOUT, ENOTFOUND, ECONNRESET: another registry (NPM_CONFIG_REGISTRY) or a proxy; "
        "ERESOLVE, EUSAGE: package.json and its lock file do not agree",
    ),
    Signature(
        r"Temporary failure (?:in name resolution|resolving '(?P<host>[^']+)')|"
        r"Could not resolve host: (?P<other>\S+)",
        "a name is not resolved inside the container {host}{other}",
        "is the host's own DNS right? Docker copies it into containers; or a proxy (proxy_http)",
    ),
)

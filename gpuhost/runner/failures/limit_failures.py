"""Known failures because of a container's limits: of open files, of locked memory.

The patterns are texts of runc, of the C library, Python, Go and Elasticsearch.
"""

from __future__ import annotations

from gpuhost.runner.failures.signature import Signature

_RAISE = (
    "set ulimits: {{nofile: 65535}} for the service in the Compose file; containers start with "
    "1024 since Docker 29"
)
KNOWN = (
    Signature(
        r"error setting rlimit type 7: operation not permitted",
        "the engine may not give a container that many open files (ulimits: nofile)",
        "lower nofile below fs.nr_open, and on a host that is a container below the hard limit "
        "of containerd.service (systemctl show -p LimitNOFILE containerd)",
    ),
    Signature(
        r"error setting rlimit type 8: operation not permitted",
        "the engine may not give a container that much locked memory (ulimits: memlock)",
        "the host is a container itself: set lxc.prlimit.memlock for it, or remove memlock",
    ),
    Signature(
        r"error setting rlimit type \d+: invalid argument",
        "a soft limit of a container is above its hard limit",
        "correct ulimits of the service in the Compose file",
    ),
    Signature(
        r"max file descriptors \[(?P<has>\d+)\].*increase to at least \[(?P<needed>\d+)\]",
        "a program may open {has} files, and needs {needed}",
        "set ulimits: {{nofile: {needed}}} for the service in the Compose file",
    ),
    # The error number is the same, its cause is not: the user's inotify instances are used up.
    Signature(
        r"(?i)inotify.*too many open files",
        "no inotify instance is left: too many programs watch files",
        "raise fs.inotify.max_user_instances on the host",
    ),
    Signature(
        r"(?i)too many open files in system",
        "the whole host has too many files open",
        "find the program that opens them: `cat /proc/sys/fs/file-nr`, `lsof`",
    ),
    Signature(
        r"\[Errno 24\]|\bEMFILE\b|(?i:too many open files)",
        "a program has reached its limit of open files",
        _RAISE,
    ),
)

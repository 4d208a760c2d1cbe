"""Known failures of git and ssh."""

from __future__ import annotations

from gpuhost.runner.failures.signature import Signature
from gpuhost.runner.lib.failure import FULL_FIX

GONE = (
    "push the commit, or release again, which resolves source.ref again: the branch may have been "
    "rewritten since the plan was made"
)

KNOWN = (
    Signature(
        r"not our ref (?P<commit>[0-9a-f]{12})",
        "the repository no longer has commit {commit}…",
        GONE,
    ),
    Signature(
        r"^git: No such file or directory",
        "git is not installed on this host",
        "run apt-get install git",
    ),
    Signature(
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|"
        r"No \S+ host key is known for (?P<host>\S+)",
        "the server's SSH host key is not the expected one {host}",
        "compare `ssh-keyscan` with the key that the server's operator publishes, then correct "
        "source.known_hosts; without it, delete the key in /opt/gpuhost/APP/known_hosts",
    ),
    Signature(
        r"Permission denied \((?P<ways>publickey[^)]*)\)|Load key .*: (?P<why>.+)",
        "the server refuses the SSH key {why}",
        "set source.deploy_key to the secret with the private key, and add its public key to the "
        "repository as a deploy key",
    ),
    Signature(
        r"Authentication failed for|could not read (?:Username|Password) for|"
        r"HTTP Basic: Access denied|terminal prompts disabled|"
        r"unable to read askpass response|returned error: 40[13]",
        "authentication failed",
        "set source.token to a secret with a valid token that may read the repository, and "
        "source.user to the user that the server expects",
    ),
    Signature(
        r"[Rr]epository '?(?P<url>[^']*)'? not found|Repository not found|"
        r"'(?P<path>[^']+)' does not appear to be a git repository|"
        r"repository '(?P<other>[^']+)' does not exist|project you were looking for could not be",
        "no such repository {path}{other}, or no permission to read it",
        "correct source.git; for a private repository set source.deploy_key or source.token",
    ),
    Signature(
        r"[Cc]ould not resolve host(?:name)?:? (?P<host>[^\s:;]+)",
        "the host name {host} cannot be resolved",
        "correct this host's DNS, or set a proxy (proxy_https)",
    ),
    Signature(
        r"Failed to connect to (?P<host>\S+) port|connect to host (?P<other>\S+) port|"
        r"Operation too slow|Connection timed out|Connection refused|RPC failed|early EOF|"
        r"unexpected disconnect|Could not connect",
        "the server cannot be reached, or the connection broke {host}{other}",
        "release again; if it fails again, set a proxy (proxy_https) or a mirror of the repository",
    ),
    Signature(
        r"server certificate verification failed|SSL certificate problem: (?P<why>.+)",
        "the server's certificate is not trusted {why}",
        "check the host's clock with `timedatectl`; install the server's own CA under "
        "/usr/local/share/ca-certificates",
    ),
    Signature(
        # Not of the server.
        r"^(?!remote: |.*remote error: ).*[Nn]o space left on device",
        "the disk is full",
        FULL_FIX,
    ),
)

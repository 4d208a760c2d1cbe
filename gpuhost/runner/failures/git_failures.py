"""What git and ssh say when a repository cannot be had."""

from __future__ import annotations

from gpuhost.runner.failures.signature import Signature

GONE = (
    "its branch was rewritten since the plan was made, or the commit was never pushed: release "
    "again, and source.ref is resolved anew"
)

KNOWN = (
    Signature(
        r"not our ref (?P<commit>[0-9a-f]{12})",
        "the repository has no commit {commit}… any more",
        GONE,
    ),
    Signature(
        r"^git: No such file or directory",
        "there is no git on this host",
        "apt-get install git",
    ),
    Signature(
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|"
        r"No \S+ host key is known for (?P<host>\S+)",
        "the server's SSH host key is not the expected one {host}",
        "compare it with what the server's operator publishes (`ssh-keyscan`), then correct "
        "source.known_hosts; keys taken at first sight are in /opt/gpuhost/APP/known_hosts",
    ),
    Signature(
        r"Permission denied \((?P<ways>publickey[^)]*)\)|Load key .*: (?P<why>.+)",
        "the server refuses the SSH key {why}",
        "source.deploy_key has to name the secret with the private key, and its public half has to "
        "be a deploy key of the repository",
    ),
    Signature(
        r"Authentication failed for|could not read (?:Username|Password) for|"
        r"HTTP Basic: Access denied|terminal prompts disabled|"
        r"unable to read askpass response|returned error: 40[13]",
        "authentication failed",
        "source.token has to name a secret with a token that may read the repository; is it "
        "expired, is source.user what the server wants?",
    ),
    Signature(
        r"[Rr]epository '?(?P<url>[^']*)'? not found|Repository not found|"
        r"'(?P<path>[^']+)' does not appear to be a git repository|"
        r"repository '(?P<other>[^']+)' does not exist|project you were looking for could not be",
        "there is no such repository {path}{other}, or it may not be read",
        "is source.git right? servers say so of a private one without a login too: "
        "source.deploy_key or source.token",
    ),
    Signature(
        r"[Cc]ould not resolve host(?:name)?:? (?P<host>[^\s:;]+)",
        "the name {host} is not resolved",
        "this host's DNS, or a proxy (proxy_https)",
    ),
    Signature(
        r"Failed to connect to (?P<host>\S+) port|connect to host (?P<other>\S+) port|"
        r"Operation too slow|Connection timed out|Connection refused|RPC failed|early EOF|"
        r"unexpected disconnect|Could not connect",
        "the server is not reached, or the connection breaks off {host}{other}",
        "a proxy (proxy_https), a mirror of the repository, or release again: what was fetched "
        "is kept",
    ),
    Signature(
        r"server certificate verification failed|SSL certificate problem: (?P<why>.+)",
        "the server's certificate is not trusted {why}",
        "the host's clock (`timedatectl`), or the server's own CA under "
        "/usr/local/share/ca-certificates",
    ),
    Signature(
        r"[Nn]o space left on device",
        "the disk is full",
        "`df -h /opt`; `df -i /opt`",
    ),
    Signature(
        r"transport '(?P<name>[^']+)' not allowed",
        "a submodule is to be fetched by {name}, which is not allowed",
        "give it an https or ssh address in .gitmodules",
    ),
)

"""The failures that are known, the more telling ones first: of builds, pulls, starts and apps.

Texts are those of the tools (BuildKit, Docker Engine and Compose, apt, pip, PyTorch, the NVIDIA
hook), as their sources and users' reports have them.
"""

from __future__ import annotations

from gpuhost.runner.signature import Signature

_DISK = (
    Signature(
        r"no space left on device|\bENOSPC\b|You don't have enough free space",
        "the disk is full: no blocks or no inodes left (or no inotify watches)",
        "`df -h` and `df -i` of /var/lib/docker and /var/lib/containerd; "
        "`docker builder prune` frees build caches and no image that a rollback needs",
    ),
    Signature(
        r"[Rr]ead-only file system",
        "a file system is read-only",
        "`dmesg` says why it was mounted so; a disk error is likely",
    ),
)

_MEMORY = (
    Signature(
        r"JavaScript heap out of memory",
        "Node.js reached its own heap limit",
        "raise it for this step: NODE_OPTIONS=--max-old-space-size=4096 as a build argument",
    ),
    Signature(
        r"CUDA out of memory|OutOfMemoryError: CUDA|CUDA error: out of memory|"
        r"CUDA_ERROR_OUT_OF_MEMORY",
        "the card's memory is full (VRAM, not RAM)",
        "`nvidia-smi` names what else is on the card; a smaller batch, model or concurrency; "
        "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
    ),
    Signature(
        r"exit (?:code|status):? 137|exited \(137\)|exited with (?:code )?137|signal: killed|"
        r"Killed signal terminated program|^Killed$|\bcannot allocate memory\b|"
        r"Cannot allocate memory|std::bad_alloc|^MemoryError",
        "a process was killed (137) or got no memory: out of memory, most likely",
        "`dmesg | grep -i 'out of memory'` says whether the kernel did it; more swap "
        "(swap_size_gb), fewer jobs in the step (MAX_JOBS=1, make -j1), or a larger memory limit",
    ),
)

_APT = (
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

_REGISTRY = (
    Signature(
        r"no matching manifest for (?P<platform>\S+)",
        "the image does not exist for {platform}",
        "another tag, or a host of the image's architecture",
    ),
    Signature(
        r"pull access denied for (?P<image>[^\s,]+)",
        "there is no image {image}, or it needs a login",
        "is the name right? a private registry goes into x-gpuhost.registries; an image that is "
        "built here has to be carried by a service, or stand in build.bases",
    ),
    Signature(
        r"manifest for (?P<image>\S+) not found|(?P<name>\S+): not found: manifest unknown",
        "the registry has no {image}{name}",
        "is the tag right, and was it pushed?",
    ),
    Signature(
        r"manifest unknown|failed to resolve source metadata for (?P<image>\S+): \S+ not found",
        "the registry does not have that tag {image}",
        "is the tag right, and was it pushed?",
    ),
    Signature(
        r"toomanyrequests|429 Too Many Requests|reached your (?:unauthenticated )?pull rate limit",
        "the registry's limit of pulls is reached",
        "log in (x-gpuhost.registries), use a mirror (docker_registry_mirrors), or wait",
    ),
    Signature(
        r"unauthorized: (?P<why>.+)|(?P<basic>no basic auth credentials)|"
        r"(?P<denied>denied: requested access to the resource is denied)",
        "the registry refuses the login: {why}{basic}{denied}",
        "x-gpuhost.registries: host, user, and the secret that is its password",
    ),
    Signature(
        r"lookup (?P<host>\S+?)(?: on \S+)?: (?:no such host|server misbehaving|i/o timeout)",
        "the name {host} is not resolved",
        "`resolvectl query {host}`; is this host's DNS right, does it need a proxy (proxy_http)?",
    ),
    Signature(
        r"dial tcp (?P<address>\S+?): (?:connect: )?(?:i/o timeout|no route to host|"
        r"connection (?:refused|timed out)|network is unreachable)|TLS handshake timeout|"
        r"net/http: request canceled while waiting for connection",
        "the registry is not reached {address}",
        "a registry mirror (docker_registry_mirrors) or a proxy (proxy_https)",
    ),
    Signature(
        r"x509: (?P<why>.+)",
        "the certificate is not trusted: {why}",
        "the host's clock (`timedatectl`), or the registry's own CA under /etc/docker/certs.d",
    ),
)

_BUILD = (
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

_START = (
    Signature(
        r"Bind for (?P<address>\S+?):(?P<port>\d+) failed: port is already allocated",
        "port {port} is published by another container already",
        "`docker ps --filter publish={port}` names it; stop it or publish another port",
    ),
    Signature(
        r"(?:failed to bind host port|listen tcp\d?) (?:for )?\S*?:(?P<port>\d+)(?:/\w+|:).*"
        r"address already in use",
        "port {port} is taken by a process of the host",
        "`ss -ltnp 'sport = :{port}'` names it; stop it or publish another port",
    ),
    Signature(
        r"The container name \"/?(?P<name>[^\"]+)\" is already in use",
        "there is a container {name} already that is not of this release",
        "`docker rm {name}` if it is a leftover, or give the service no container_name",
    ),
    Signature(
        r"network (?P<name>\S+) was found but has incorrect label",
        "a network {name} exists that Compose did not make for this project",
        "`docker network rm {name}` if nothing uses it, or declare it external: true",
    ),
    Signature(
        r"a network with name (?P<name>\S+) exists but was not created by compose|"
        r"network with name (?P<other>\S+) already exists",
        "a network {name}{other} exists that Compose did not make for this project",
        "`docker network rm {name}{other}` if nothing uses it, or declare it external: true",
    ),
    Signature(
        r"network (?P<name>\S+) declared as external, but could not be found",
        "the external network {name} does not exist",
        "`docker network create {name}`",
    ),
    Signature(
        r"external volume \"(?P<name>[^\"]+)\" not found",
        "the external volume {name} does not exist",
        "`docker volume create {name}`; is its name right, was it never made on this host?",
    ),
    Signature(
        r"network (?P<name>[0-9a-zA-Z_.-]+) not found",
        "a container is of a network that is gone: {name}",
        "`docker compose down` of that project makes both anew; data in volumes stays",
    ),
    Signature(
        r"all predefined address pools have been fully subnetted|"
        r"could not find an available, non-overlapping IPv4 address pool",
        "Docker has no address range left for another network",
        "`docker network prune` removes unused ones; docker_address_pools gives more",
    ),
    Signature(
        r"Pool overlaps with other one on this address space",
        "the subnet of a network overlaps another's",
        "`docker network inspect` of the others; another subnet in the Compose file",
    ),
    Signature(
        r"could not select device driver \"?(?P<driver>[^\"]*)\"? with capabilities: \[\[.*gpu",
        "Docker cannot give a container a card",
        "the NVIDIA Container Toolkit is missing or Docker was not restarted after it came: "
        "deploys/gpu_host.py; a snap Docker cannot",
    ),
    Signature(
        r"unsatisfied condition: (?P<condition>.+?)(?:, please update|: unknown|\\n|$)",
        "the image requires {condition}, and the host's driver does not have it",
        "a newer driver (nvidia_branch), an image of an older CUDA, or NVIDIA_DISABLE_REQUIRE=1 "
        "where minor-version compatibility is known to hold",
    ),
    Signature(
        r"unresolvable CDI devices? (?P<device>\S+)",
        "Docker knows no device {device}",
        "deploys/gpu_host.py makes the CDI description of the cards anew",
    ),
    Signature(
        r"nvidia-container-cli: (?P<why>.+?)(?:: unknown|\\n|$)",
        "the NVIDIA Container Toolkit: {why}",
        "`nvidia-smi` on the host; deploys/diagnose.py",
    ),
    Signature(
        r"service \"(?P<service>[^\"]+)\" didn't complete successfully: exit (?P<code>\d+)",
        "the one-shot service {service} failed with exit {code}",
        "its own log says why",
    ),
    Signature(
        r"dependency failed to start: container (?P<name>\S+) (?P<why>.+)",
        "what others wait for did not come up: {name} {why}",
        "its own log says why",
    ),
    Signature(
        r"container (?P<name>\S+) is unhealthy",
        "{name} is unhealthy",
        "its health check's output: docker inspect -f '{{{{json .State.Health.Log}}}}' {name}",
    ),
    Signature(
        r"bind source path does not exist: (?P<path>.+)",
        "there is no {path} on the host",
        "name it in x-gpuhost.directories",
    ),
    Signature(
        r"Are you trying to mount a directory onto a file",
        "a file that is mounted is a directory on the host: it was missing when Docker first "
        "started the container",
        "remove the empty directory and put the file there",
    ),
    Signature(
        r"Cannot connect to the Docker daemon|failed to connect to the docker API",
        "Docker does not answer",
        "`systemctl status docker`; deploys/gpu_host.py mends the engine",
    ),
)

_APP = (
    Signature(
        r"CUDA driver version is insufficient for CUDA runtime version|"
        r"NVIDIA driver on your system is too old",
        "the driver is too old for the CUDA in the image",
        "a newer driver (nvidia_branch), or an image of an older CUDA",
    ),
    Signature(
        r"system has unsupported display driver / cuda driver combination|"
        r"forward compatibility was attempted on non supported HW",
        "the image brings a libcuda that does not go with this driver or card",
        "an image of an older CUDA, or without its cuda-compat package",
    ),
    Signature(
        r"no kernel image is available for execution on the device",
        "the app was not compiled for this card's compute capability",
        "for Maxwell, Pascal and Volta, PyTorch's cu126 wheels are the last that have it",
    ),
    Signature(
        r"daemonic processes are not allowed to have children",
        "a Celery worker of the prefork pool starts processes of its own, which it may not",
        "WORKER_POOL=threads (or solo)",
    ),
    Signature(
        r"client intended to send too large body: (?P<size>\d+) bytes",
        "nginx refused a request of {size} bytes (413)",
        "nginx.max_body in the app file",
    ),
    Signature(
        r"host not found in upstream \"(?P<host>[^\"]+)\"",
        "nginx does not find its upstream {host}",
        "nginx.upstream in the app file; is that service started, in the same network?",
    ),
)

_STATUS = (
    Signature(
        r"exit (?:code|status):? 139|exited \(139\)|[Ss]egmentation fault",
        "a program crashed (139, SIGSEGV)",
        "libraries that do not go together, or those of another driver",
    ),
    Signature(
        r"exit (?:code|status):? 134|exited \(134\)",
        "a program gave up (134, SIGABRT)",
        "its last lines say why",
    ),
    Signature(
        r"exit (?:code|status):? 127|exited \(127\)",
        "a command was not found (127)",
        "is it installed in this stage, and spelt right?",
    ),
    Signature(
        r"exit (?:code|status):? 126|exited \(126\)",
        "a file could not be executed (126)",
        "chmod +x before COPY, and the right processor architecture",
    ),
    Signature(
        r"container (?P<name>\S+) exited \((?P<code>\d+)\)",
        "{name} exited with {code}",
        "its own log says why",
    ),
)

# pip, npm and Hugging Face fail for the network's sake before they fail for anything of ours; an
# exit status alone says least.
KNOWN: tuple[Signature, ...] = (
    *_DISK,
    *_START,
    *_MEMORY,
    *_APT,
    *_REGISTRY,
    *_BUILD,
    *_APP,
    *_STATUS,
)

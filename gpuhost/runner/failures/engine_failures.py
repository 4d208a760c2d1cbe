"""Known failures of pulls and starts: Docker Engine, Compose, registries, the NVIDIA hook.

The patterns are texts from the sources of these tools and from users' reports.
"""

from __future__ import annotations

from gpuhost.runner.failures.signature import Signature

REGISTRY = (
    Signature(
        r"no matching manifest for (?P<platform>\S+)",
        "the image does not exist for {platform}",
        "use another tag, or a host with the image's architecture",
    ),
    Signature(
        r"pull access denied for (?P<image>[^\s,]+)",
        "no image {image}, or it needs a login",
        "correct the name; declare the login of a private registry in x-gpuhost.registries; for "
        "an image that is built here, declare a service or build.bases",
    ),
    Signature(
        r"manifest for (?P<image>\S+) not found|(?:^|\s)(?P<name>\S+): not found: manifest unknown",
        "the registry has no {image}{name}",
        "correct the tag, or push it",
    ),
    Signature(
        r"manifest unknown|failed to resolve source metadata for (?P<image>\S+): \S+ not found",
        "the registry does not have that tag {image}",
        "correct the tag, or push it",
    ),
    Signature(
        r"toomanyrequests|429 Too Many Requests|reached your (?:unauthenticated )?pull rate limit",
        "the registry's pull limit is reached",
        "log in (x-gpuhost.registries), set a mirror (docker_registry_mirrors), or wait",
    ),
    Signature(
        r"unauthorized: (?P<why>.+)|(?P<basic>no basic auth credentials)|"
        r"(?P<denied>denied: requested access to the resource is denied)",
        "the registry refuses the login: {why}{basic}{denied}",
        "correct host, user and password secret in x-gpuhost.registries",
    ),
    Signature(
        r"lookup (?P<host>\S+?)(?: on \S+)?: (?:no such host|server misbehaving|i/o timeout)",
        "the host name {host} cannot be resolved",
        "run `resolvectl query {host}` on the host; correct its DNS, or set a proxy (proxy_http)",
    ),
    Signature(
        r"dial tcp (?P<address>\S+?): (?:connect: )?(?:i/o timeout|no route to host|"
        r"connection (?:refused|timed out)|network is unreachable)|TLS handshake timeout|"
        r"net/http: request canceled while waiting for connection",
        "the registry cannot be reached {address}",
        "set a registry mirror (docker_registry_mirrors) or a proxy (proxy_https)",
    ),
    Signature(
        r"x509: (?P<why>.+)",
        "the certificate is not trusted: {why}",
        "check the host's clock with `timedatectl`; install the registry's own CA under "
        "/etc/docker/certs.d",
    ),
)
START = (
    Signature(
        r"Bind for (?P<address>\S+?):(?P<port>\d+) failed: port is already allocated",
        "port {port} is already published by another container",
        "run `docker ps --filter publish={port}` to find it; stop it, or publish another port",
    ),
    Signature(
        r"(?:failed to bind host port|listen tcp\d?) (?:for )?\S*?:(?P<port>\d+)(?:/\w+|:).*"
        r"address already in use",
        "port {port} is used by a process of the host",
        "run `ss -ltnp 'sport = :{port}'` to find it; stop it, or publish another port",
    ),
    Signature(
        r"The container name \"/?(?P<name>[^\"]+)\" is already in use",
        "another container has the name {name}",
        "run `docker rename {name} {name}-before`, or remove container_name from the service",
    ),
    Signature(
        r"network (?P<name>\S+) was found but has incorrect label",
        "a network {name} exists that Compose did not create for this project",
        "run `docker network rm {name}` if nothing uses it, or declare it as external: true",
    ),
    Signature(
        r"a network with name (?P<name>\S+) exists but was not created by compose|"
        r"network with name (?P<other>\S+) already exists",
        "a network {name}{other} exists that Compose did not create for this project",
        "run `docker network rm {name}{other}` if nothing uses it, or declare it as external: true",
    ),
    Signature(
        r"network (?P<name>\S+) declared as external, but could not be found",
        "the external network {name} does not exist",
        "run `docker network create {name}`",
    ),
    Signature(
        r"external volume \"(?P<name>[^\"]+)\" not found",
        "the external volume {name} does not exist",
        "correct its name, or run `docker volume create {name}`",
    ),
    Signature(
        r"network (?P<name>[0-9a-zA-Z_.-]+) not found",
        "a container uses a network that no longer exists: {name}",
        "run `docker compose down` for that project, then release again: this keeps volumes, but "
        "not what containers wrote elsewhere (docker cp)",
    ),
    Signature(
        r"all predefined address pools have been fully subnetted|"
        r"could not find an available, non-overlapping IPv4 address pool",
        "Docker has no free address range for another network",
        "run `docker network prune`, or add ranges (docker_address_pools)",
    ),
    Signature(
        r"Pool overlaps with other one on this address space",
        "the subnet of a network overlaps with that of another one",
        "set another subnet in the Compose file; `docker network inspect` shows the used ones",
    ),
    Signature(
        r"could not select device driver \"?(?P<driver>[^\"]*)\"? with capabilities: \[\[.*gpu",
        "Docker cannot give a container a GPU",
        "run deploys/gpu_host.py: the NVIDIA Container Toolkit is missing, or Docker was not "
        "restarted after its installation; Docker as a snap cannot use it",
    ),
    Signature(
        r"unsatisfied condition: (?P<condition>.+?)(?:, please update|: unknown|\\n|$)",
        "the image requires {condition}, which the host's driver does not have",
        "install a newer driver (nvidia_branch), or use an image of an older CUDA; set "
        "NVIDIA_DISABLE_REQUIRE=1 only if the image supports minor-version compatibility",
    ),
    Signature(
        r"unresolvable CDI devices? (?P<device>\S+)",
        "Docker knows no device {device}",
        "run deploys/gpu_host.py: it writes the CDI specification of the GPUs again",
    ),
    Signature(
        r"nvidia-container-cli: (?P<why>.+?)(?:: unknown|\\n|$)",
        "the NVIDIA Container Toolkit: {why}",
        "run `nvidia-smi` on the host, then deploys/diagnose.py",
    ),
    Signature(
        r"service \"(?P<service>[^\"]+)\" didn't complete successfully: exit (?P<code>\d+)",
        "the one-shot service {service} failed with exit {code}",
        "read the log of {service}: it has the reason",
    ),
    Signature(
        r"dependency failed to start: container (?P<name>\S+) (?P<why>.+)",
        "a service that others depend on did not start: {name} {why}",
        "run `docker logs {name}`: its log has the reason",
    ),
    Signature(
        r"container (?P<name>\S+) is unhealthy",
        "{name} is unhealthy",
        "run docker inspect -f '{{{{json .State.Health.Log}}}}' {name}: it shows the output of "
        "the health check",
    ),
    Signature(
        r"bind source path does not exist: (?P<path>.+)",
        "no {path} on the host",
        "declare it in x-gpuhost.directories",
    ),
    Signature(
        r"Are you trying to mount a directory onto a file",
        "a mounted file is a directory on the host: the file did not exist when Docker first "
        "started the container",
        "remove the empty directory with rmdir, and put the file there",
    ),
)
ENGINE = (
    Signature(
        r"Cannot connect to the Docker daemon|failed to connect to the docker API",
        "Docker does not answer",
        "run `systemctl status docker`, then deploys/gpu_host.py, which repairs the engine",
    ),
)

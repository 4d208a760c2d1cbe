"""What Docker Engine, Compose, registries and the NVIDIA hook say of images, pulls and starts.

Texts are those of the tools, as their sources and users' reports have them.
"""

from __future__ import annotations

from gpuhost.runner.failures.signature import Signature

REGISTRY = (
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
START = (
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
        "`systemctl status docker`; deploys/gpu_host.py repairs the engine",
    ),
)

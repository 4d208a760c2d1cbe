"""Known failures of Dockerfiles: what BuildKit itself says.

The patterns are texts from its source and from users' reports.
"""

from __future__ import annotations

from gpuhost.runner.failures.signature import Signature

KNOWN = (
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
        r"^\[[^\]]*\] (?:COPY|ADD) .*--from=(?P<stage>\S+) .*failed to \w+ .*?"
        r"\"?(?P<path>/[^\":]*)\"?: not found",
        "COPY --from={stage}: there is no {path} in that stage or image",
        "correct the path, or the step of {stage} that should make it: it may write elsewhere; "
        "`docker build --target {stage}` builds that stage alone",
    ),
    Signature(
        r"failed to walk \S+: lstat \S+?(?P<path>/[^/:\s]+): no such file or directory",
        "COPY or ADD: the build context has no {path}",
        "commit the file, and remove it from .dockerignore; paths are relative to build.context",
    ),
    Signature(
        r"failed to compute cache key: .*?\"?(?P<path>/[^\":]+)\"?: not found|"
        r"failed to calculate checksum of ref \S+ \"?(?P<other>/[^\":]+)\"?: not found",
        "COPY or ADD: {path}{other} is not in the build context",
        "commit the file, and remove it from .dockerignore; paths are relative to build.context",
    ),
    Signature(
        r"base name \((?P<name>[^)]*)\) should not be blank",
        "FROM {name}: the build argument is empty",
        "give it a value in build.args of the service, or a default in the Dockerfile",
    ),
    Signature(
        r"invalid reference format|failed to parse stage name \"(?P<name>[^\"]*)\"",
        "the name of an image is not valid {name}",
        "correct FROM or image; it has no capitals, and no empty part after a variable",
    ),
    Signature(
        r"failed to solve: secret (?P<name>[^:\s]+): not found",
        "the build needs the secret {name}, and none is given",
        "declare it in build.secrets of the service",
    ),
    Signature(
        r"dockerfile parse error|Dockerfile parse error|unknown instruction",
        "the Dockerfile has a syntax error",
        "correct the line that the output names",
    ),
)

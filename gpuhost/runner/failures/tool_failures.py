"""Known failures of the tools that Dockerfiles run: compilers, pip, npm, bundlers.

The patterns are texts from the sources of these tools and from users' reports.
"""

from __future__ import annotations

from gpuhost.runner.failures.signature import Signature

LOCK = (
    "install with the same version of the tool as the lock file's author, and commit the lock file"
)
COMPILERS = (
    Signature(
        r"fatal error: (?P<header>[\w./+-]+\.h\w*): No such file or directory",
        "the compiler finds no {header}",
        "install the -dev package that has it in the step before (Python.h: python3-dev)",
    ),
    Signature(
        r"command '(?P<tool>[^']*(?:gcc|g\+\+|cc|clang))' failed: No such file|"
        r"unable to execute '(?P<other>[^']*(?:gcc|g\+\+|cc))'|"
        r"(?P<last>gcc|g\+\+|cc1plus|make|cmake): (?:command )?not found|"
        r"No CMAKE_CXX_COMPILER could be found|Cannot find CMake executable",
        "a package is compiled, and the image has no compiler {tool}{other}{last}",
        "install build-essential (and python3-dev, cmake) in the step before, or use a version "
        "that has a wheel for this Python",
    ),
    Signature(
        r"CUDA_HOME environment variable is not set|nvcc was not found|"
        r"nvcc: (?:command )?not found|Failed to find nvcc|Could not find CUDA",
        "CUDA code is compiled, and the image has no nvcc",
        "use the -devel tag of the base image for this stage, or a wheel that is compiled already",
    ),
    Signature(
        r"Failed building wheel for (?P<package>\S+)|Failed to build (?P<other>\S+)|"
        r"metadata-generation-failed",
        "pip cannot compile {package}{other}",
        "read the lines before: they have the reason; a version with a wheel for this Python "
        "needs no compiler",
        weak=True,
    ),
)
PACKAGES = (
    Signature(
        r"externally-managed-environment",
        "pip may not install into the Python of the distribution",
        "use a virtual environment, or set PIP_BREAK_SYSTEM_PACKAGES=1 in the Dockerfile",
    ),
    Signature(
        r"THESE PACKAGES DO NOT MATCH THE HASHES",
        "pip: a package has another hash than the requirements file: the index or its mirror "
        "changed it, or the download is incomplete",
        "build again; if it stays, use another index (build argument PIP_INDEX_URL)",
    ),
    Signature(
        r"Cannot install (?P<packages>.+) because these package versions have conflicting|"
        r"(?P<short>ResolutionImpossible)",
        "pip: requirements exclude each other: {packages}{short}",
        "change the version of one of them",
    ),
    Signature(
        r"Package '(?P<package>[^']+)' requires a different Python: (?P<why>.+)",
        "{package} does not support this Python: {why}",
        "use another base image, or another version of the package",
    ),
    Signature(
        r"ERR_PNPM_(?:\w*OUTDATED_LOCKFILE|LOCKFILE_\w+)|Your lockfile needs to be updated|"
        r"lockfile would have been modified by this install|lockfile at `uv.lock` needs to be|"
        r"pyproject.toml changed significantly since poetry.lock",
        "the lock file does not match the list of packages",
        LOCK,
    ),
    Signature(
        r"The engine \"(?P<engine>\w+)\" is incompatible with this module. (?P<why>.+)",
        "a package does not support this {engine}: {why}",
        "use another base image, or another version of the package",
    ),
    Signature(
        r"Cannot find matching keyid",
        "corepack is too old for the keys of the registry",
        "run `npm install --global corepack@latest` before `corepack enable`",
    ),
    Signature(
        r"No matching distribution found for (?P<package>.+)",
        "pip finds no {package} for this Python and platform",
        "use another version of the package or of Python, or an index that has it (build argument "
        "PIP_INDEX_URL)",
    ),
    Signature(
        r"npm (?:ERR!|error) code (?P<code>E\w+)",
        "npm: {code}",
        "for ETIMEDOUT, ENOTFOUND, ECONNRESET: set another registry (NPM_CONFIG_REGISTRY) or a "
        "proxy (proxy_https); for ERESOLVE, EUSAGE: run npm install and commit the lock file",
    ),
)
SOURCES = (
    Signature(
        r"(?:Module not found: (?:Error: )?Can't resolve|Could not resolve|"
        r"Rollup failed to resolve import) (?P<module>'[^']+'|\"[^\"]+\")",
        "the bundler (Next.js, webpack, Vite) finds no module {module}",
        "if it is a file of the app, commit it: `git check-ignore -v PATH` shows the line of "
        ".gitignore that leaves it out, and .dockerignore and COPY count too; names differ in "
        "capitals; if it is a package, add it to package.json",
    ),
    Signature(
        r"Error occurred prerendering page \"?(?P<page>[^\s\"]+)|"
        r"Failed to collect page data for (?P<other>\S+)",
        "Next.js runs the page {page}{other} during the build, and it failed",
        "read the lines before: often it needs an environment variable or a server that a build "
        "does not have; give the variable as a build argument, or make the page dynamic",
    ),
    Signature(
        r"^(?:\S+: )?Type error: (?P<why>.+)|error (?P<code>TS\d+): (?P<text>.+)",
        "TypeScript finds an error: {why}{code} {text}",
        "correct the line that the output names",
    ),
)
PROGRAMS = (
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
        r"(?:UID|GID) '?(?P<id>\d+)'? (?:is not unique|already exists)|"
        r"(?:user|group) '(?P<name>[^']+)' already exists|(?:uid|gid) '(?P<used>\d+)' in use",
        "the base image already has the user or group {id}{name}{used}",
        "use another number or name, or the existing one",
    ),
)

KNOWN = (*COMPILERS, *PACKAGES, *SOURCES, *PROGRAMS)

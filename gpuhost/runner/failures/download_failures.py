"""Known failures of downloads in Dockerfiles: fonts, models, git, curl, certificates, names.

The patterns are texts from the sources of these tools and from users' reports.
"""

from __future__ import annotations

from gpuhost.runner.failures.signature import Signature

PROXY = "set a proxy (proxy_https), or take it from a mirror"
KNOWN = (
    Signature(
        r"Failed to fetch `(?P<font>[^`]+)` from Google Fonts",
        "Next.js cannot download the font {font} from Google Fonts",
        "use next/font/local with the font's file in the repository, or set a proxy (proxy_https)",
    ),
    Signature(
        r"^go: (?P<module>\S+): .*(?:dial tcp|i/o timeout|connection re|no such host)",
        "go cannot download {module}",
        "set GOPROXY as a build argument of the Dockerfile, or a proxy (proxy_https)",
    ),
    Signature(
        r"couldn't connect to '?(?P<url>https?://[^\s']+)'? to load|LocalEntryNotFoundError|"
        r"outgoing traffic has been disabled",
        "a model cannot be downloaded {url}",
        "set HF_ENDPOINT to a mirror, as a build argument that the Dockerfile declares, or "
        "download the model before",
    ),
    Signature(
        r"GatedRepoError|Access to model (?P<model>\S+) is restricted|Cannot access gated repo",
        "the model {model} needs a login, and its terms accepted",
        "accept the terms on the model's page, and give the token (HF_TOKEN) as a secret",
    ),
    Signature(
        r"unable to access '(?P<url>https?://[^']+)'|"
        r"fatal: clone of '(?P<other>[^']+)' into submodule path",
        "git cannot fetch {url}{other}",
        PROXY,
    ),
    Signature(
        r"request to (?P<url>https?://\S+) failed, reason: ?(?P<why>.*)|"
        r"Failed to fetch (?:the engine file|sha256 checksum) at (?P<engine>\S+)",
        "Node.js cannot download {url}{engine}: {why}",
        "set a proxy (proxy_https); for Prisma's engines set PRISMA_ENGINES_MIRROR as a build "
        "argument",
    ),
    Signature(
        r"CERTIFICATE_VERIFY_FAILED|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT|"
        r"SSL certificate problem: (?P<why>.+)",
        "a step does not trust the certificate of a server: {why}",
        "install ca-certificates in the image; for a proxy with its own CA copy that to "
        "/usr/local/share/ca-certificates; check the host's clock with `timedatectl`",
    ),
    Signature(
        r"Temporary failure (?:in name resolution|resolving '(?P<host>[^']+)')|"
        r"Could not resolve host: (?P<other>\S+)|"
        r"unable to resolve host address .(?P<last>[^\s’']+)",
        "a container cannot resolve a host name {host}{other}{last}",
        "correct the DNS of the host, which Docker copies into containers, or set a proxy "
        "(proxy_http)",
    ),
    Signature(
        r"ReadTimeoutError: \w+\(host='(?P<host>[^']+)'|"
        r"\b\w+\(host='(?P<other>[^']+)', port=\d+\): (?:Max retries exceeded|Read timed out)",
        "a download from {host}{other} was too slow or did not start",
        "set a mirror (build arguments PIP_INDEX_URL, HF_ENDPOINT) or a proxy (proxy_https)",
    ),
    Signature(
        r"^curl: \((?P<code>\d+)\) (?P<why>.+)",
        "curl cannot download: {why} ({code})",
        PROXY,
    ),
    Signature(
        r"(?:sha256sum|sha512sum|md5sum): WARNING: \d+ computed checksums? did NOT match",
        "a downloaded file has another checksum: it is incomplete, or was changed",
        "build again with build.no_cache; if it stays, correct the checksum or the address",
    ),
    Signature(
        r"gpg: no valid OpenPGP data found",
        "the key of a repository could not be downloaded",
        PROXY,
        weak=True,
    ),
)

"""Databases and other stores that a project runs itself, by image."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpuhost.appfile.compose.model import ComposeService
from gpuhost.appfile.proposing.project import Project

POSTGRES = re.compile(
    r"(?:^|/)(?:postgres|postgresql|postgis|pgvector|timescaledb(?:-ha)?|pgvecto-rs|vchord-postgres"
    r"|vectorchord|pg_?search|paradedb|pgautoupgrade|supabase-postgres)(?:[:@]|$)"
    r"|(?:^|/)supabase/postgres(?:[:@]|$)"
)
# What each stores is not HTTP either.
STORES = {
    "postgres": POSTGRES,
    "mysql": re.compile(r"(?:^|/)(?:mysql|mariadb|percona)(?:-server)?(?:[:@]|$)"),
    "redis": re.compile(
        r"(?:^|/)(?:redis|redis-stack(?:-server)?|valkey|keydb|dragonfly)(?:[:@]|$)"
    ),
    "mongo": re.compile(r"(?:^|/)(?:mongo|mongodb|mongodb-community-server)(?:[:@]|$)"),
    "rabbitmq": re.compile(r"(?:^|/)rabbitmq(?:[:@]|$)"),
    "minio": re.compile(r"(?:^|/)minio(?:[:@]|$)"),
    "search": re.compile(r"(?:^|/)(?:elasticsearch|opensearch|meilisearch|typesense)(?:[:@]|$)"),
    "clickhouse": re.compile(r"(?:^|/)clickhouse(?:-server)?(?:[:@]|$)"),
    "neo4j": re.compile(r"(?:^|/)neo4j(?:[:@]|$)"),
    "vectors": re.compile(r"(?:^|/)(?:qdrant|milvus|weaviate|chroma)(?:[:@]|$)"),
    "memcached": re.compile(r"(?:^|/)memcached(?:[:@]|$)"),
    "etcd": re.compile(r"(?:^|/)etcd(?:[:@]|$)"),
}


def kind_of(service: ComposeService, project: Project | None = None, name: str = "") -> str:
    """ "postgres"; "" for a service that is no store."""
    images = [service.image or ""]
    dockerfile = project.dockerfile(name) if project else None
    if dockerfile and dockerfile.bases:
        # An image of the project that is made of a database's.
        images.append(dockerfile.bases[-1].text)
    found = (kind for kind, form in STORES.items() if any(map(form.search, images)))
    return next(found, "")


def stores(project: Project) -> Iterator[tuple[str, str]]:
    """Service and kind."""
    for name, service in project.services():
        if kind := kind_of(service, project, name):
            yield name, kind

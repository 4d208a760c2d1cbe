"""Known failures of databases and their migrations: PostgreSQL, MySQL, SQLite; Prisma, Alembic.

The patterns are texts from the sources of these tools and from users' reports.
"""

from __future__ import annotations

from gpuhost.runner.failures.signature import Signature

FIRST_START = (
    "a database keeps the password of its first start: give that one as the secret, or change it "
    "in the database (ALTER USER … PASSWORD …)"
)
CONNECTION = (
    Signature(
        r"could not translate host name \"(?P<host>[^\"]+)\"|"
        r"failed to resolve host '(?P<host2>[^']+)'|"
        r"getaddrinfo (?:ENOTFOUND|EAI_AGAIN) (?P<host3>\S+)|"
        r"lookup (?P<host4>\S+?)(?: on \S+)?: no such host",
        "the migration does not find the server {host}{host2}{host3}{host4}",
        "use the name of a service of the Compose file, in a network that both share",
    ),
    Signature(
        r"password authentication failed for user \"(?P<user>[^\"]+)\"|"
        r"Access denied for user (?P<other>'[^']+')|"
        r"Authentication failed against .*credentials for `?(?P<last>[^`\s]+)|"
        r"(?P<redis>WRONGPASS|NOAUTH) ",
        "the database refuses the password of {user}{other}{last}{redis}",
        FIRST_START,
    ),
    Signature(
        r"Can't reach database server at `?(?P<address>[^`\s]+)(?:`:`(?P<port>\d+))?|"
        r"connection to server at \"(?P<host>[^\"]+)\".* failed: (?:Connection refused|timeout)|"
        r"connect (?:ECONNREFUSED|ETIMEDOUT) (?P<node>\S+)|"
        r"dial tcp (?P<go>\S+): connect: connection refused|"
        r"Can't connect to (?:MySQL|MariaDB|local)? ?server (?:on|through) '?(?P<mysql>[^'\s]+)|"
        r"Error 111 connecting to (?P<redis>\S+)\.",
        "the database does not answer at {address} {port}{host}{node}{go}{mysql}{redis}",
        "name it in depends_on of the migration's service with condition: service_healthy; "
        "localhost in a container is the container itself: use the name of the service",
    ),
    Signature(
        r"database \"(?P<name>[^\"]+)\" does not exist|Unknown database '(?P<other>[^']+)'|"
        r"Database `(?P<last>[^`]+)` does not exist",
        "the server has no database {name}{other}{last}",
        "correct its name, or create it: an image makes the database of its environment only at "
        "its first start, with an empty volume",
    ),
)
HISTORY = (
    Signature(
        r"migrate found failed migrations",
        "Prisma: an earlier migration failed, and blocks those after it (P3009)",
        "repair what it left, then run `npx prisma migrate resolve` in the migration's service "
        "with --rolled-back or --applied and its name",
    ),
    Signature(
        r"The database schema is not empty",
        "Prisma: the database has tables, and no record of migrations (P3005)",
        "run `npx prisma migrate resolve --applied NAME` for every migration that it already has",
    ),
    Signature(
        r"Can't locate revision identified by '?(?P<revision>[0-9A-Za-z_]+)",
        "the database is at the migration {revision}, which this release does not have: a newer "
        "release has migrated it",
        "release that revision or a newer one, or restore the backup that was made before it",
    ),
    Signature(
        r"Multiple head revisions are present|multiple leaf nodes in the migration graph|"
        r"Multiple heads are present",
        "two migrations follow the same one",
        "merge them in the repository: `alembic merge heads`, `manage.py makemigrations --merge`",
    ),
    Signature(
        r"InconsistentMigrationHistory: (?P<why>.+)",
        "Django: the database's record of migrations has a gap: {why}",
        "release the revision that made it, or restore the backup that was made before it",
    ),
)
CONTENT = (
    Signature(
        r"database is locked",
        "SQLite: another process writes to the database",
        "give the migration a longer timeout, or stop what else opens the file",
    ),
    Signature(
        r"unable to open database file|readonly database|SQLITE_CANTOPEN|SQLITE_READONLY",
        "SQLite: the database file cannot be opened or written",
        "declare its directory in x-gpuhost.directories with the owner (UID:GID) of the image's "
        "user; the path must be the same in the migration and in the app",
    ),
    Signature(
        r"permission denied for (?P<what>(?:schema|table|relation|database|sequence) \S+)|"
        r"must be owner of (?P<other>.+)",
        "the database user may not change {what}{other}",
        "migrate as the owner of the database, or GRANT it",
    ),
    Signature(
        r"(?:relation|type|column) \"(?P<name>[^\"]+)\"(?: of relation \S+)? already exists|"
        r"[Tt]able '?(?P<other>[^'\s]+)'? already exists|"
        r"duplicate column name:? '?(?P<last>[^'\s]+)",
        "the migration makes {name}{other}{last}, which the database already has",
        "it was made by hand, or by a migration that ended half-way: record that one as applied, "
        "or restore the backup that was made before it",
    ),
    Signature(
        r"(?:relation|column) \"(?P<name>[^\"]+)\"(?: of relation \S+)? does not exist|"
        r"no such (?:table|column): (?P<other>\S+)|Table '(?P<last>[^']+)' doesn't exist",
        "the database has no {name}{other}{last}",
        "run the migrations before it, or correct which database the migration uses",
    ),
    Signature(
        r"Environment variable not found: (?P<name>\w+)|"
        r"required environment variable:? \W*(?P<other>\w+)",
        "the variable {name}{other} is not set",
        "set it in environment of the migration's service, or declare it as a secret",
    ),
    Signature(
        r"A migration failed to apply\. New migrations cannot be applied",
        "Prisma: a migration failed (P3018)",
        "read the lines before: they name it, and the error of the database",
        weak=True,
    ),
)
KNOWN = (*CONNECTION, *HISTORY, *CONTENT)

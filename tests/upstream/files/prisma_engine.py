#!/usr/bin/python3
"""Stands in for Prisma's query engine (an HTTP server) and its schema engine (JSON-RPC).

The real ones are downloaded from Prisma's own server. It answers what the app needs: count, find,
create and update of one table, raw queries, and `migrate deploy`, on the real SQLite database.
"""

import json
import os
import re
import secrets
import sqlite3
import sys
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

VERSION = "605197351a3c8bdd595af2d2a9bc3025bca48ea2"
MIGRATIONS = """CREATE TABLE IF NOT EXISTS _prisma_migrations (
    id TEXT PRIMARY KEY, checksum TEXT NOT NULL, finished_at DATETIME, migration_name TEXT NOT NULL,
    logs TEXT, rolled_back_at DATETIME, started_at DATETIME NOT NULL DEFAULT current_timestamp,
    applied_steps_count INTEGER NOT NULL DEFAULT 0)"""


def database(url=None):
    path = urlsplit(url or os.environ["DATABASE_URL"]).path
    connection = sqlite3.connect(path, timeout=10, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


# --- the query engine --------------------------------------------------------------------------


class Table:
    """A model's table: its name, and the columns of its fields, from the schema."""

    def __init__(self, model):
        schema = Path(os.environ["PRISMA_DML_PATH"]).read_text()
        body = re.search(rf"^model {model} \{{(.*?)^\}}", schema, re.MULTILINE | re.DOTALL)[1]
        mapped = re.search(r'@@map\("(\w+)"\)', body)
        self.name = mapped[1] if mapped else model
        self.column, self.kind = {}, {}
        for field, kind, rest in re.findall(
            r"^  (\w+) +(\w+)\??(?![\[\w])(.*)$", body, re.MULTILINE
        ):
            if kind in ("String", "Int", "Float", "Boolean", "DateTime"):
                found = re.search(r'@map\("(\w+)"\)', rest)
                self.column[field], self.kind[field] = found[1] if found else field, kind

    def where(self, wanted):
        """Equality only."""
        pairs = {self.column[n]: plain(v, "equals") for n, v in (wanted or {}).items()}
        marks = " AND ".join(f'"{column}" = ?' for column in pairs)
        return f" WHERE {marks}" if marks else "", list(pairs.values())

    def stored(self, data):
        return {self.column[n]: plain(v, "set") for n, v in data.items() if n in self.column}

    def shown(self, row):
        return {n: typed(self.kind[n], row[column]) for n, column in self.column.items()}


def plain(value, key):
    value = value[key] if isinstance(value, dict) and key in value else value
    return value["value"] if isinstance(value, dict) and "$type" in value else value


def typed(kind, value):
    if value is None:
        return None
    if kind == "Boolean":
        return bool(value)
    if kind != "DateTime":
        return value
    if isinstance(value, str):
        return {"$type": "DateTime", "value": value.replace(" ", "T") + "Z"}
    moment = datetime.fromtimestamp(value / 1000, timezone.utc)
    return {"$type": "DateTime", "value": moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")}


def answer(query):
    action, arguments = query["action"], query["query"].get("arguments", {})
    with database() as connection:
        if action in ("queryRaw", "executeRaw"):
            return {action: raw(connection, action, arguments)}
        model = query["modelName"]
        result = ACTIONS[action](connection, Table(model), arguments)
        return {f"{action.removesuffix('OrThrow')}{model}": result}


def raw(connection, action, arguments):
    cursor = connection.execute(arguments["query"], json.loads(arguments.get("parameters") or "[]"))
    if action == "executeRaw":
        return cursor.rowcount
    names = [column[0] for column in cursor.description or ()]
    rows = [[str(value) for value in row] for row in cursor]
    return {"columns": names, "types": ["string"] * len(names), "rows": rows}


def aggregate(connection, table, arguments):
    where, values = table.where(arguments.get("where"))
    sql = f'SELECT count(*) FROM "{table.name}"{where}'
    return {"_count": {"_all": connection.execute(sql, values).fetchone()[0]}}


def find_many(connection, table, arguments):
    where, values = table.where(arguments.get("where"))
    rows = connection.execute(f'SELECT * FROM "{table.name}"{where}', values).fetchall()
    return [table.shown(row) for row in rows]


def find(connection, table, arguments):
    return next(iter(find_many(connection, table, arguments)), None)


def create(connection, table, arguments):
    now = int(datetime.now(timezone.utc).timestamp() * 1000)
    made = {"id": f"c{secrets.token_hex(12)}", "createdAt": now, "updatedAt": now}
    values = table.stored({**made, **arguments["data"]})
    names = ", ".join(f'"{name}"' for name in values)
    sql = f'INSERT INTO "{table.name}" ({names}) VALUES ({", ".join("?" * len(values))})'
    row = connection.execute(sql, list(values.values())).lastrowid
    sql = f'SELECT * FROM "{table.name}" WHERE rowid = ?'
    return table.shown(connection.execute(sql, [row]).fetchone())


def update(connection, table, arguments):
    where, values = table.where(arguments["where"])
    new = table.stored(arguments["data"])
    pairs = ", ".join(f'"{name}" = ?' for name in new)
    connection.execute(f'UPDATE "{table.name}" SET {pairs}{where}', [*new.values(), *values])
    return find(connection, table, arguments)


ACTIONS = {
    "aggregate": aggregate,
    "findUnique": find,
    "findUniqueOrThrow": find,
    "findFirst": find,
    "findMany": find_many,
    "createOne": create,
    "updateOne": update,
}


class Engine(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send({"status": "ok"})

    def do_POST(self):
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        try:
            if "batch" in query:
                self.send({"batchResult": [{"data": answer(each)} for each in query["batch"]]})
            else:
                self.send({"data": answer(query)})
        except Exception as error:
            message = f"stand-in of the query engine: {type(error).__name__}: {error}"
            self.send(
                {
                    "errors": [
                        {
                            "error": message,
                            "user_facing_error": {
                                "is_panic": False,
                                "message": message,
                                "error_code": "P2010",
                                "meta": {},
                            },
                        }
                    ]
                }
            )

    def send(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Engine)
    fields = {"message": "Started query engine http server on it", "ip": "127.0.0.1"}
    started = {
        "timestamp": "",
        "level": "INFO",
        "target": "query_engine::server",
        "fields": {**fields, "port": str(server.server_port)},
    }
    print(json.dumps(started), flush=True)
    server.serve_forever()


# --- the schema engine -------------------------------------------------------------------------


def migrate(parameters):
    """Apply the migrations that the database does not have yet."""
    directory = Path(parameters["migrationsDirectoryPath"])
    applied = []
    with database() as connection:
        connection.execute(MIGRATIONS)
        listed = connection.execute("SELECT migration_name FROM _prisma_migrations").fetchall()
        done = {row[0] for row in listed}
        for path in sorted(directory.glob("*/migration.sql")):
            name = path.parent.name
            if name in done:
                continue
            connection.executescript(path.read_text())
            now = int(datetime.now(timezone.utc).timestamp() * 1000)
            connection.execute(
                "INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name,"
                " applied_steps_count) VALUES (?, '', ?, ?, 1)",
                (secrets.token_hex(16), now, name),
            )
            applied.append(name)
    return {"appliedMigrationNames": applied}


def listed(parameters):
    found = sorted(Path(parameters["migrationsDirectoryPath"]).glob("*/migration.sql"))
    return {"migrations": [path.parent.name for path in found]}


RPC = {
    "applyMigrations": migrate,
    "listMigrationDirectories": listed,
    "createDatabase": lambda _: {"databaseName": "app.db"},
    "ensureConnectionValidity": lambda _: {},
    "getDatabaseVersion": lambda _: sqlite3.sqlite_version,
}


def answer_rpc():
    for line in sys.stdin:
        request = json.loads(line)
        reply = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            reply["result"] = RPC[request["method"]](request.get("params") or {})
        except Exception as error:
            message = f"stand-in of the schema engine: {type(error).__name__}: {error}"
            reply["error"] = {
                "code": 4466,
                "message": message,
                "data": {"is_panic": False, "message": message, "backtrace": None},
            }
        print(json.dumps(reply), flush=True)


def main(name, arguments):
    if "--version" in arguments:
        print(f"{name} {VERSION}")
    elif arguments[:1] == ["cli"]:
        print(json.dumps({"level": "INFO", "fields": {"message": "ok"}}), file=sys.stderr)
    elif name == "schema-engine":
        answer_rpc()
    else:
        serve()


main("schema-engine" if "schema" in Path(sys.argv[0]).name else "query-engine", sys.argv[1:])

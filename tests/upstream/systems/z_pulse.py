"""z-pulse: articles collected, reports written from them, a site in front."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar

from tests.apps.base_image import SERVICES
from tests.lab.hosts import LabHost
from tests.upstream.bases import PLAIN, Base, python
from tests.upstream.system import Change, Stub, System, put

SITE = "https://localhost"
BRIDGE = "/opt/gpuhost/z-pulse/shared/werss/werss.db"
FEED = "upstream-feed"
PASSWORD = "planted-Passw0rd"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BEIJING = timezone(timedelta(hours=8))
# The worker looks for jobs once a minute.
REPORT_S = 240

POSTGRES = Base(
    "postgres:15-alpine",
    SERVICES,
    "Debian 12 with PostgreSQL 15",
    files={
        "/usr/local/bin/docker-entrypoint.sh": "../../apps/images/postgres/docker-entrypoint.sh"
    },
    environment={
        "PATH": f"/usr/lib/postgresql/15/bin:{PATH}",
        "PGDATA": "/var/lib/postgresql/data",
    },
    instructions=(
        'RUN mkdir -p /docker-entrypoint-initdb.d /var/run/postgresql "$PGDATA"'
        ' && chown postgres:postgres /var/run/postgresql "$PGDATA"',
        "VOLUME /var/lib/postgresql/data",
        "STOPSIGNAL SIGINT",
        'ENTRYPOINT ["sh", "/usr/local/bin/docker-entrypoint.sh"]',
        'CMD ["postgres"]',
    ),
)
REDIS = Base(
    "redis:7-alpine",
    SERVICES,
    "Debian 12 with Redis 7",
    instructions=(
        "RUN mkdir -p /data && chown redis:redis /data",
        "VOLUME /data",
        "WORKDIR /data",
        'CMD ["redis-server"]',
    ),
)
NGINX = Base(
    "nginx:1.28-alpine",
    SERVICES,
    "Debian 12 with nginx",
    instructions=(
        "RUN rm /etc/nginx/sites-enabled/default"
        " && ln -sf /dev/stdout /var/log/nginx/access.log"
        " && ln -sf /dev/stderr /var/log/nginx/error.log",
        "STOPSIGNAL SIGQUIT",
        'CMD ["nginx", "-g", "daemon off;"]',
    ),
)
NODE = Base("node:20-slim", PLAIN, "Debian 12 with this machine's Node", node=True)
WE_MP_RSS = Base(
    "rachelos/we-mp-rss:latest",
    SERVICES,
    "our own bridge, started by upstream's main.py",
    files={"/app/uvicorn.py": "rss_bridge.py"},
    instructions=("WORKDIR /app", "RUN touch main.py", 'CMD ["python", "main.py"]'),
)


class ZPulse(System):
    name = "z-pulse"
    repository = "wang1st/z-pulse"
    real = "two Dockerfiles, pip, npm, Next.js, FastAPI, both workers, PostgreSQL, Redis, nginx"
    secrets: ClassVar = {
        "DASHSCOPE_API_KEY": "planted-dashscope",
        "BREVO_API_KEY": "planted-brevo",
        "EMAIL_FROM": "news@example.com",
        "WERSS_ADMIN_PASSWORD": "planted-werss",
    }
    bases = (python("3.11-slim"), NODE, POSTGRES, REDIS, NGINX, WE_MP_RSS)
    stubs = (
        Stub(
            "the language model: our own, in the bridge's container",
            (
                Change(
                    "shared/config/settings.py",
                    '"https://dashscope.aliyuncs.com/compatible-mode/v1"',
                    '"http://rss-bridge:8001/v1"',
                ),
            ),
        ),
        Stub(
            "a mirror of Debian in China: this machine's archive",
            (
                Change(
                    "backend/Dockerfile",
                    "RUN if [ -f /etc/apt/sources.list.d/debian.sources ]; then",
                    "RUN true || if [ -f /etc/apt/sources.list.d/debian.sources ]; then",
                ),
            ),
        ),
        Stub("we-mp-rss: our own bridge, started by upstream's main.py"),
        Stub("WeChat: an article is put into the bridge's database"),
    )
    broken = Change(
        "shared/config/settings.py", "    POSTGRES_PORT:", "    NOT_SET: str\n    POSTGRES_PORT:"
    )

    def prove(self, host: LabHost) -> str:
        token = _login(host)
        _account(host, token, FEED)
        now = datetime.now(BEIJING)
        # The report of a day covers the 24 hours before 09:45, and is not written in advance.
        day = now.date()
        end = min(now, now.replace(hour=9, minute=45))
        _publish(host, end - timedelta(minutes=30))
        _api(host, "admin/articles/collect", token, post={})
        _until(lambda: FEED in _api(host, "admin/articles", token), 60)
        job = json.loads(_api(host, f"admin/reports/daily/{day}/regenerate?force=true", token, {}))
        done = f"admin/jobs/{job['job_id']}"
        _until(lambda: json.loads(_api(host, done, token))["status"] != "pending", REPORT_S)
        _until(lambda: json.loads(_api(host, done, token))["status"] != "running", REPORT_S)
        reports = _api(host, f"reports/?start_date={day}&end_date={day}")
        assert "农村道路" in reports, reports[:500]
        page = host.run(f"curl -fsSk -m 30 {SITE}/reports/daily").stdout
        assert "_next/static" in page, page[:300]
        docs = host.run(f"curl -fsSk -m 30 {SITE}/openapi.json").stdout
        assert "/api/reports/" in docs, docs[:300]
        log = host.run("docker logs zpulse-rss 2>&1").stdout
        assert self.secrets["WERSS_ADMIN_PASSWORD"] not in log, "the bridge logs its password"
        return "an article collected, a daily report written from it and served through nginx"

    def write(self, host: LabHost, text: str) -> None:
        _account(host, _login(host), text)

    def kept(self, host: LabHost) -> list[str]:
        listed = json.loads(_api(host, "admin/accounts", _login(host)))
        names = {str(account["name"]) for account in listed}
        return [text for text in ("written before", "written after") if text in names]


def _login(host: LabHost) -> str:
    """The administrator's token; the first caller registers them."""
    new = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
    _api(host, "auth/register", post=new, check=False)
    form = f"username=ada&password={PASSWORD}"
    sent = f"curl -fsSk -m 30 -d '{form}' {SITE}/api/auth/token"
    return str(json.loads(host.run(sent).stdout)["access_token"])


def _account(host: LabHost, token: str, name: str) -> None:
    new = {"name": name, "wechat_id": name, "werss_feed_id": name}
    _api(host, "admin/accounts", token, new, check=False)


def _publish(host: LabHost, at: datetime) -> None:
    """Put an article into the database of the bridge, as it does."""
    text = "市财政局今日下达专项资金一亿元，用于农村道路建设，预算执行情况由审计部门监督。" * 12
    url = f"https://example.com/{int(at.timestamp())}"
    row = ["1", FEED, "财政局下达专项资金", url, "", f"<p>{text}</p>", int(at.timestamp())]
    put(host, "/root/article.json", json.dumps(row).encode())
    insert = "INSERT INTO articles VALUES (?,?,?,?,?,?,?)"
    script = f"import json, sqlite3; c = sqlite3.connect({BRIDGE!r}); "
    script += f"c.execute({insert!r}, json.load(open('/root/article.json'))); c.commit()"
    host.run("python3 -", stdin=script.encode())


def _api(
    host: LabHost,
    path: str,
    token: str = "",
    post: dict[str, Any] | None = None,
    *,
    check: bool = True,
) -> str:
    words = ["curl -sSk -m 60", "-f" if check else "", f"-H 'Authorization: Bearer {token}'"]
    if post is not None:
        words.append("-H 'Content-Type: application/json' -d @-")
    sent = f"{' '.join(words)} '{SITE}/api/{path}'"
    body = None if post is None else json.dumps(post).encode()
    return host.run(sent, stdin=body, timeout=70).stdout


def _until(holds: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s"
        time.sleep(2)

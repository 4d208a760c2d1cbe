"""Proves a release: an article is collected, summarised and served.

    python verify_release.py       # in the container ingestion-worker

The application's own code runs in one database transaction, which is rolled back: nothing stays.
One short request goes to the language model.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

# It must come first: it puts the directory of `shared` on the path.
from app.main import app
from app.workers.ai_generate import AIWorker
from app.workers.ingest import IngestionWorker
from fastapi.testclient import TestClient
from shared.database import Article, OfficialAccount, Report, ReportType, engine, get_db
from sqlalchemy.orm import Session

FEED = "gpuhost-verify"
TITLE = "财政部门下达专项资金"
# Long enough that the worker does not take it for a mere summary and ask the bridge for more.
TEXT = "市财政局今日下达专项资金一亿元，用于农村道路建设，预算执行情况由审计部门监督。" * 12
PROMPT = "用一句话概括下面的文章，只输出这句话。"


def main() -> None:
    worker = IngestionWorker()
    check_bridge(worker)
    writer = AIWorker()
    with engine.connect() as connection, connection.begin() as transaction:
        # What the application commits is a savepoint of this transaction.
        db = Session(bind=connection, join_transaction_mode="create_savepoint")
        try:
            article = collect(worker, db)
            serve(db, article, summarise(writer, article))
        finally:
            db.close()
            transaction.rollback()
    print("an article was collected, summarised and served")


def check_bridge(worker: IngestionWorker) -> None:
    """The bridge's database is there, and it accepts the administrator's password."""
    try:
        worker._fetch_werss_articles(feed_id=FEED, since_ts=0, limit=1)
    except sqlite3.Error as error:
        sys.exit(f"{worker._werss_db_path}, the database of rss-bridge: {error}")
    if not worker._get_werss_token():
        sys.exit(
            "rss-bridge does not accept WERSS_ADMIN_PASSWORD: was the password changed on its page?"
        )


def collect(worker: IngestionWorker, db: Session) -> Article:
    account = OfficialAccount(name=FEED, werss_feed_id=FEED)
    db.add(account)
    db.commit()
    with tempfile.TemporaryDirectory() as directory:
        worker._werss_db_path = str(Path(directory) / "werss.db")
        write_feed(worker._werss_db_path)
        found = worker.collect_feed(db, account)
    article = db.query(Article).filter(Article.account_id == account.id).one_or_none()
    if found != 1 or article is None or article.content != TEXT:
        sys.exit("the ingestion worker did not collect the article of the test feed")
    return article


def write_feed(path: str) -> None:
    """A database of the bridge with one article, in HTML."""
    feed = sqlite3.connect(path)
    feed.execute(
        "CREATE TABLE articles (mp_id, title, url, description, content, publish_time INTEGER)"
    )
    row = (FEED, TITLE, "https://example.com/gpuhost-verify", "", f"<p>{TEXT}</p>", time.time())
    feed.execute("INSERT INTO articles VALUES (?, ?, ?, ?, ?, CAST(? AS INTEGER))", row)
    feed.commit()
    feed.close()


def summarise(writer: AIWorker, article: Article) -> str:
    summary = writer._generate_summary_with_qwen(f"[1] {article.title}\n{article.content}", PROMPT)
    if not summary:
        sys.exit("the language model gave no summary: is DASHSCOPE_API_KEY valid?")
    return summary


def serve(db: Session, article: Article, summary: str) -> None:
    report = Report(
        report_type=ReportType.DAILY,
        report_date=date(1970, 1, 1),
        title=TITLE,
        summary_markdown=summary,
        article_count=1,
        source_article_ids=[article.id],
    )
    db.add(report)
    db.commit()
    app.dependency_overrides[get_db] = lambda: db
    answer = TestClient(app).get(f"/api/reports/{report.id}")
    if answer.status_code != 200 or answer.json()["summary_markdown"] != summary:
        sys.exit(f"the report is not served: {answer.status_code} {answer.text[:500]}")


if __name__ == "__main__":
    main()

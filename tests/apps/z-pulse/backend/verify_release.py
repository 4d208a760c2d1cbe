"""Stand-in for the script of the overlay: an article with text, and the bridge's login."""

import os
import sqlite3
import sys
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

from shared.database import connect

if __name__ == "__main__":
    connect().close()
    names = "WERSS_ADMIN_USERNAME", "WERSS_ADMIN_PASSWORD"
    user, password = (os.environ[name] for name in names)
    form = urlencode({"username": user, "password": password}).encode()
    try:
        urlopen("http://rss-bridge:8001/api/v1/wx/auth/login", form, timeout=10).close()
    except HTTPError:
        sys.exit("rss-bridge does not accept WERSS_ADMIN_PASSWORD")
    with sqlite3.connect(os.environ["WERSS_DB_PATH"]) as bridge:
        (text,) = bridge.execute("SELECT content FROM articles").fetchone()
    if not text:
        sys.exit("the article has no text: is GATHER.CONTENT set?")
    print("an article was collected")

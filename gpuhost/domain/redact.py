"""Masks credentials in URLs: no finding may show them."""

from __future__ import annotations

import re

# Up to the last @ of an address, which JSON ends with a quote: a password may have a / in it.
LOGIN = re.compile(r'//[^"]*@')


def redact_credentials(text: str) -> str:
    """ "https://ada:secret@example.com" as "https://***@example.com"."""
    return LOGIN.sub("//***@", text)


def mask_login(url: str) -> str:
    """The same for the URL of a proxy: any text before its last @ may be a login."""
    return re.sub(r"^(\w+://)?.*@", r"\1***@", url, flags=re.DOTALL)

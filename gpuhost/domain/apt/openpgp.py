"""The keys in an OpenPGP key file, and their fingerprints; this module trusts none of them.

RFC 4880: packets (4.2), key material (5.5.2), fingerprints of version 4 keys (12.2), armor (6.2).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

PUBLIC_KEY = 6
BEGIN = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
END = "-----END PGP PUBLIC KEY BLOCK-----"


class NoKey(ValueError):
    """The bytes are not an OpenPGP public key."""


def fingerprints(key: bytes) -> list[str]:
    """Fingerprints of every primary key in a file, armored or not.

    Raises NoKey if there is none, or the file is cut short.
    """
    keys = [_fingerprint(body) for tag, body in _packets(dearmor(key)) if tag == PUBLIC_KEY]
    if not keys:
        raise NoKey("no OpenPGP public key in it")
    return keys


def first_fingerprint(beginning: bytes) -> str | None:
    """Fingerprint of the first key, of which the beginning of a file is enough; None: no key."""
    if BEGIN.encode() in beginning:
        payload = _payload(beginning.decode("latin-1").split(BEGIN)[1])
        try:
            beginning = base64.b64decode(payload[: len(payload) // 4 * 4], validate=True)
        except ValueError:
            return None
    try:
        tag, body = next(_packets(beginning), (0, b""))
        return _fingerprint(body) if tag == PUBLIC_KEY else None
    except NoKey:
        return None


def _fingerprint(body: bytes) -> str:
    if not body or body[0] != 4:
        raise NoKey("not a version 4 key")
    material = b"\x99" + len(body).to_bytes(2, "big") + body
    return hashlib.sha1(material, usedforsecurity=False).hexdigest().upper()


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        header = data[position]
        if not header & 0x80:
            raise NoKey("not OpenPGP data")
        new_format = bool(header & 0x40)
        tag = header & 0x3F if new_format else (header & 0x3C) >> 2
        start, length = (_new_length if new_format else _old_length)(data, position)
        if start + length > len(data):
            raise NoKey("cut short")
        yield tag, data[start : start + length]
        position = start + length


def _new_length(data: bytes, position: int) -> tuple[int, int]:
    first = _number(data, position + 1, 1)
    if first < 192:
        return position + 2, first
    if first < 224:
        return position + 3, ((first - 192) << 8) + _number(data, position + 2, 1) + 192
    if first == 255:
        return position + 6, _number(data, position + 2, 4)
    raise NoKey("partial lengths have no place in a key")


def _old_length(data: bytes, position: int) -> tuple[int, int]:
    size = data[position] & 3
    if size == 3:
        raise NoKey("indeterminate lengths have no place in a key")
    octets = 1 << size
    return position + 1 + octets, _number(data, position + 1, octets)


def _number(data: bytes, start: int, octets: int) -> int:
    if start + octets > len(data):
        raise NoKey("cut short")
    return int.from_bytes(data[start : start + octets], "big")


def dearmor(key: bytes) -> bytes:
    """The binary form of a key file; a binary one is returned as it is.

    Raises NoKey if the armor is broken.
    """
    text = key.decode("latin-1")
    if BEGIN not in text:
        return key
    binary = b""
    for block in text.split(BEGIN)[1:]:
        try:
            binary += base64.b64decode(_payload(block), validate=True)
        except ValueError as error:
            raise NoKey("broken armor") from error
    return binary


def _payload(block: str) -> str:
    """Base64 of an armored block, from after its first line."""
    # Headers end at the first empty line; the checksum is a line that begins with '='.
    lines = [line.strip() for line in block.partition(END)[0].splitlines()]
    body = lines[lines.index("", 1) + 1 :] if "" in lines[1:] else lines
    return "".join(line for line in body if line and not line.startswith("="))


def armor(key: bytes) -> str:
    """The text form, which apt reads from a file named *.asc."""
    binary = dearmor(key)
    lines = base64.encodebytes(binary).decode("ascii").replace("\n", "")
    body = "\n".join(lines[start : start + 64] for start in range(0, len(lines), 64))
    checksum = base64.b64encode(_crc24(binary).to_bytes(3, "big")).decode("ascii")
    return f"{BEGIN}\n\n{body}\n={checksum}\n{END}\n"


def _crc24(data: bytes) -> int:
    crc = 0xB704CE
    for octet in data:
        crc ^= octet << 16
        for _ in range(8):
            crc = (crc << 1) ^ (0x1864CFB if crc & 0x800000 else 0)
    return crc & 0xFFFFFF

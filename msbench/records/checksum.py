"""The checksum at the end of a line: CRC-32 of the bytes before it, in hexadecimal digits.

It finds damage, not forgery: every change within 32 bits in a row, and all but one of four billion
others, in less time than a cryptographic hash.
"""

import re
import zlib

FIELD = b', "checksum": "'
_END = re.compile(re.escape(FIELD) + rb'([0-9a-f]{8})"}\s*\Z')
_LONGEST = len(FIELD) + 16
"""Bytes of the field, the closing brace and the end of the line."""


def sealed(line: bytes) -> bytes:
    """An object of JSON with its checksum as the last field."""
    body = line.removesuffix(b"}")
    return body + FIELD + b'%08x"}' % zlib.crc32(body)


def is_sealed(line: bytes) -> bool:
    """Whether a line ends in a checksum, right or wrong."""
    return _END.search(line[-_LONGEST:]) is not None


def verify(line: bytes) -> bool:
    """Whether a line ends in a checksum; ValueError if it is not that of the bytes before it."""
    end = _END.search(line[-_LONGEST:])
    if end is None:
        return False
    size = len(line) - len(end[0])
    if zlib.crc32(memoryview(line)[:size]) != int(end[1], 16):
        raise ValueError("its checksum does not fit: it was changed after it was written")
    return True

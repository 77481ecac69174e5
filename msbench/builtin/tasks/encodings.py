"""Files of the user's own as text, and the likely encoding of what is not UTF-8."""

import codecs
import io
from pathlib import Path

import msbench
from msbench import DataError


def content(path: Path) -> bytes:
    """A file's bytes; DataError if it cannot be read."""
    try:
        return msbench.read_file(path)
    except OSError as error:
        raise DataError(f"files: {path} (from {Path.cwd()}): {error.strerror}") from error


def text_of(path: Path, encoding: str = "utf-8") -> str:
    """A file's text with \\n as its line ends; DataError with the likely encoding otherwise."""
    data = content(path)
    try:
        utf8 = codecs.lookup(encoding).name == "utf-8"
    except LookupError as error:
        raise DataError(f"files: there is no encoding {encoding!r}") from error
    if utf8 and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(_wrong(f"{path}:1", "UTF-16, not UTF-8", "utf-16"))
    try:
        text = data.decode("utf-8-sig" if utf8 else encoding)
    except UnicodeError as error:
        raise DataError(_undecodable(path, data, encoding, error)) from error
    if 4 * text.count("\0") > len(text):
        little = data[1:2] == b"\0"
        likely = "utf-16-le" if little else "utf-16-be"
        raise DataError(_wrong(f"{path}:1", f"not {encoding}: every other byte is 0", likely))
    return str(io.IncrementalNewlineDecoder(None, translate=True).decode(text, final=True))


def _undecodable(path: Path, data: bytes, encoding: str, error: UnicodeError) -> str:
    if not isinstance(error, UnicodeDecodeError):
        return f"files: {path} is not {encoding}: {error}"
    line = data.count(b"\n", 0, error.start) + 1
    byte = data[error.start : error.start + 1]
    seen = byte.decode("cp1252", errors="replace")
    what = f"not {encoding}: its byte 0x{byte.hex()} would be {seen!r} in Western European text"
    return _wrong(f"{path}:{line}", what, "cp1252")


def _wrong(where: str, what: str, likely: str) -> str:
    return f'files: {where} is {what}; set encoding = "{likely}", or save the file as UTF-8'

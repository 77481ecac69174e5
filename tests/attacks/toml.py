"""Plain data as TOML: enough to write suites that are wrong."""

import json
from datetime import date
from typing import Any


def inline(value: Any) -> str:
    """A value as it stands behind an equals sign."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    return value.isoformat() if isinstance(value, date) else json.dumps(value)


def document(table: dict[str, Any]) -> str:
    """A whole file."""
    return "".join(f"{json.dumps(key)} = {inline(value)}\n" for key, value in table.items())

"""The canonical JSON form of plain values, and its hash."""

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> str:
    """Write JSON in one way only: sorted keys, no blanks, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical_hash(value: Any) -> str:
    """Return the SHA-256 of the one way of writing a value as JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()

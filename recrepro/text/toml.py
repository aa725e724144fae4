"""Values as an experiment file writes them."""

import json
from collections.abc import Mapping
from typing import Any


def in_toml(value: Any) -> str:
    """Return a value in TOML, on one line, to be pasted into an experiment file.

    Parameters
    ----------
    value : bool, number, str, None, or a list, tuple or mapping of such
        None has no form in TOML: it is written as ``none``.
    """
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case list() | tuple():
            return f"[{', '.join(map(in_toml, value))}]"
        case Mapping():
            return f"{{ {', '.join(f'{k} = {in_toml(v)}' for k, v in value.items())} }}"
        case _:
            return repr(value)

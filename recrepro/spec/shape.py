"""Limits on what files hold, whatever their schema: no honest file meets them."""

import re
from collections.abc import Mapping
from typing import Any

from recrepro.text.clean import control_in

LARGEST_FILE = 1_000_000
"""Bytes of a TOML file; a study of dozens of papers has some 20,000."""
DEEPEST = 32
"""Tables and lists inside of each other; an experiment needs six, a record eight."""
MOST_VALUES = 250_000
"""Texts, numbers, tables and lists in a file; 1,000 epochs with 20 numbers each are 20,000."""

_NAME = r"""(?:(?<![A-Za-z0-9_-])[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_LONG_KEY = re.compile(rf"(?:{_NAME}[ \t]*\.[ \t]*){{{DEEPEST}}}")

Location = tuple[str | int, ...]


def long_key_in(text: str) -> int | None:
    """Return the line of a key with more dots than `DEEPEST`; None if there is none.

    Readers of TOML take for a key the square of its length.
    """
    found = _LONG_KEY.search(text)
    return None if found is None else text.count("\n", 0, found.start()) + 1


def misshapen(content: Any, *, by_hand: bool = True) -> tuple[Location, str] | None:
    """Find the first thing in a file's content that no file may hold.

    That is what is nested too deep, a whole number of too many bits, more values than
    `MOST_VALUES` or, where a person wrote it, a control character in a text.

    Parameters
    ----------
    content : mapping, list or plain value
        The content, as read from TOML or JSON.
    by_hand : bool
        Whether a person wrote it: then, whole numbers have 64 bits; else 1,000, as floats hold.

    Returns
    -------
    location, problem : tuple of str or int, str
        Keys and positions of the place, and a sentence on what is wrong there; None if nothing is.
    """
    waiting: list[tuple[Location, Any]] = [((), content)]
    n_values = 0
    while waiting:
        location, value = waiting.pop()
        n_values += len(value) if isinstance(value, Mapping | list) else 0
        problem = _problem(value, len(location), n_values, by_hand=by_hand)
        if problem is not None:
            return location, problem
        if isinstance(value, Mapping):
            for key in value if by_hand else ():
                if (code := control_in(key)) is not None:
                    return location, f"a key holds the control character {code}. Write it without."
            waiting += [((*location, key), value[key]) for key in reversed(value)]
        elif isinstance(value, list):
            waiting += [((*location, at), value[at]) for at in reversed(range(len(value)))]
    return None


def _problem(value: Any, depth: int, n_values: int, *, by_hand: bool) -> str | None:
    if n_values > MOST_VALUES:
        return f"the file holds more than {MOST_VALUES:,} values. Leave out what is not needed."
    if depth > DEEPEST:
        return f"tables and lists are nested more than {DEEPEST} deep. Write fewer levels."
    n_bits = 64 if by_hand else 1_000
    if isinstance(value, int) and not -(2 ** (n_bits - 1)) <= value < 2 ** (n_bits - 1):
        return f"the whole number is beyond {n_bits:,} bits. Write a smaller one."
    if by_hand and isinstance(value, str) and (code := control_in(value)) is not None:
        return f"the text holds the control character {code}. Write it without."
    return None

"""Reads a TOML file, and says what to change in one that is not TOML."""

import re
import tomllib
from pathlib import Path
from typing import Any

from recrepro.errors import UnknownName, UsageError
from recrepro.spec.lines import line_of
from recrepro.spec.remedies import SMALLEST
from recrepro.spec.shape import DEEPEST, LARGEST_FILE, long_key_in, misshapen

_PLACE = re.compile(r"\s*\(at (?:line (?P<line>\d+), column \d+|end of document)\)")
_BARE = re.compile(r"^(?P<key>[^=#]+?)\s*=\s*(?P<word>[A-Za-z_][^\"'\[{,#]*?)\s*(?:#.*)?$")
_COLON = re.compile(r"^(?P<key>[\w.-]+)\s*:\s*(?P<value>.+)$")


def read_toml(path: Path, kind: str) -> tuple[str, dict[str, Any]]:
    """Read a TOML file.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        What messages call it, such as ``"experiment file"``.

    Returns
    -------
    text, content : str, dict
        The file as it is, and its tables.

    Raises
    ------
    UsageError
        If it cannot be read, is no file, is larger than any honest one, is not TOML, or holds what
        no file may hold (see `recrepro.spec.shape`); with the line and what to change there.
    """
    text = _text_of(path, kind)
    too_deep = f"tables and lists are nested more than {DEEPEST} deep. Write fewer levels."
    if (line := long_key_in(text)) is not None:
        raise UsageError(f"{path}, line {line}: {too_deep}")
    try:
        content = tomllib.loads(text)
    except RecursionError as error:
        raise UsageError(f"{path}: {too_deep}") from error
    except tomllib.TOMLDecodeError as error:
        other = _other_language(path, text)
        if other is not None:
            raise UsageError(
                f"{path} is {other}, and the {kind} has to be TOML. The smallest experiment "
                f"file:\n\n{SMALLEST}"
            ) from error
        raise UsageError(_fault(path, kind, text, str(error))) from error
    except ValueError as error:  # Python converts no numbers of thousands of digits
        raise UsageError(
            f"{path}: a whole number is beyond 64 bits. Write a smaller one."
        ) from error
    if (found := misshapen(content)) is not None:
        location, problem = found
        raise UsageError(f"{_place(path, text, location)}: {problem}")
    return text, content


def _text_of(path: Path, kind: str) -> str:
    try:
        if path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "not a regular file"
            raise UsageError(f"{path} is {what}. Name the {kind}.")
        with path.open("rb") as file:  # some files of the system say that they are empty
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise UsageError(
                f"{path} has more than {LARGEST_FILE:,} bytes, the most that a file of this kind "
                f"may have. Is it the {kind}? Data belong in files of their own."
            )
        return content.decode().replace("\r\n", "\n").replace("\r", "\n")
    except FileNotFoundError:
        folder = path.parent.resolve()
        known = [p.name for p in folder.glob("*.toml")]
        raise UnknownName(kind, path.name, known, f"Looked in {folder}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the {kind} {path}: {error}.") from error


def _place(path: Path, text: str, location: tuple[str | int, ...]) -> str:
    line = line_of(text, location)
    return str(path) if line is None else f"{path}, line {line}"


def _other_language(path: Path, text: str) -> str | None:
    """Return the name of the language that a file seems to be written in, if it is not TOML."""
    ending = path.suffix.lower()
    if ending in (".yaml", ".yml"):
        return "YAML"
    if ending == ".json" or text.lstrip().startswith("{"):
        return "JSON"
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    keys = [line for line in lines if re.match(r"\s*(- )?[\w.-]+:(\s|$)", line)]
    return "YAML" if len(keys) > len(lines) / 2 else None


def _fault(path: Path, kind: str, text: str, said: str) -> str:
    """Say which line is wrong, and how to write it."""
    found = _PLACE.search(said)
    lines = text.split("\n")
    number = int(found["line"]) if found and found["line"] else len(text.rstrip().split("\n"))
    line = lines[number - 1].strip()
    problem = _PLACE.sub("", said)
    shown = f"{line!r} is not TOML ({problem})" if line else f"it is not TOML ({problem})"
    return (
        f"{path}, line {number}: {shown}, so that this is not a valid {kind}. "
        f"{_advice(line, problem)}"
    )


def _advice(line: str, problem: str) -> str:
    """Say how to write a line that is not TOML."""
    rewritten = _rewritten(line)
    if rewritten is not None:
        return rewritten
    open_bracket = any(line.count(one) != line.count(other) for one, other in ("[]", "{}"))
    open_quote = line.count('"') % 2 or line.count("'") % 2
    no_value = re.match(r"^[^=]+=\s*(#.*)?$", line)
    if "overwrite" in problem or "twice" in problem:
        return (
            "That key or table is there already. Take one away; for several models, data sets or "
            "splits, write [[models]], [[datasets]] or [[splits]] with two brackets on each side."
        )
    for holds, advice in (
        (open_bracket, "Close each bracket, and write commas between the values in it."),
        (open_quote, "Close the quotes at the end of the text."),
        (no_value, "Write a value after '=', or take the line away."),
    ):
        if holds:
            return advice
    return 'Write key = value, with text in quotes, as in name = "ease". See https://toml.io.'


def _rewritten(line: str) -> str | None:
    """Return what to write for a line ``key = word`` or ``key: value``; None for any other."""
    if bare := _BARE.match(line):
        key, word = bare["key"], bare["word"]
        if word.lower() in ("true", "false"):
            return f"Write {key} = {word.lower()}."
        if word.lower() in ("none", "null", "nil"):
            return f"TOML has no {word}: leave {key} out."
        return f'Put text in quotes: {key} = "{word}".'
    if colon := _COLON.match(line):
        return f"Write {colon['key']} = {colon['value'].rstrip(',')}."
    return None

"""Explanations of what is wrong in an experiment file, from pydantic's errors."""

from collections.abc import Sized
from itertools import islice
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    ValidationError,
)

from recrepro.errors import UnknownName, UsageError, nearest_names
from recrepro.spec.lines import line_in, line_numbers
from recrepro.spec.remedies import NAME_PATTERN, example, is_range, other_names, remedy
from recrepro.spec.shape import Location
from recrepro.text.toml import in_toml
from recrepro.text.words import count

MOST_SHOWN = 20
"""Faults that a message lists."""
MOST_FAULTS = 10_000
"""Faults up to which they are looked at, each."""

_LONGEST_VALUE = 60

_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a text",
    "string_pattern_mismatch": "a text of the form {pattern}",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "greater_than": "greater than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "literal_error": "{expected}",
    "too_short": "a list of {min_length:,} or more",
    "too_long": "a list of {max_length:,} at most",
}
"""What pydantic's types of errors ask for."""

_NAME = (
    "a name of at most 64 lower-case letters, digits and . _ + - that begins with a letter or a "
    "digit"
)


class FaultElsewhere(ValueError):
    """What a validator of a whole table finds in a part of it.

    Parameters
    ----------
    message : str
        The fault.
    *location : str or int
        Keys and positions of the part, from the top of the file.
    """

    def __init__(self, message: str, *location: str | int) -> None:
        super().__init__(message)
        self.location = location


def refusal(
    error: ValidationError, root: type[BaseModel], place: str, text: str = ""
) -> UsageError:
    """Return the error to raise for something that a person wrote, with what to write instead.

    Parameters
    ----------
    error : ValidationError
        The findings.
    root : type of BaseModel
        The schema.
    place : str
        What messages call the file or the table.
    text : str
        The file, to name lines of it.

    Returns
    -------
    UsageError
        Its location is that of the first finding if there is no text, to be completed by `at`.
    """
    if error.error_count() > MOST_FAULTS:
        return UsageError(_beyond_listing(error, place))
    lines = []
    numbers = line_numbers(text)
    groups = _grouped(error)
    for location, group in islice(groups.items(), MOST_SHOWN):
        problem = _advice(group, location, root)
        line = line_in(numbers, location)
        lines.append(_line(place if line is None else f"{place}, line {line}", group, problem))
    refused = UsageError("\n".join([*dict.fromkeys(lines), *_and_more(place, groups)]))
    refused.location = () if text else next(iter(groups))
    return refused


def explain(error: ValidationError, root: type[BaseModel], place: str) -> str:
    """Turn pydantic's findings in what a program wrote into one message.

    Parameters
    ----------
    error, root, place
        As in `refusal`.
    """
    if error.error_count() > MOST_FAULTS:
        return _beyond_listing(error, place)
    groups = _grouped(error)
    lines = [
        _line(place, group, _fault(group[0], location, root))
        for location, group in islice(groups.items(), MOST_SHOWN)
    ]
    return "\n".join([*dict.fromkeys(lines), *_and_more(place, groups)])


def _beyond_listing(error: ValidationError, place: str) -> str:
    faults = f"{error.error_count():,} of its keys and values"
    return f"{place}: {faults} are not what they should be. Is it the right file?"


def _and_more(place: str, groups: Sized) -> list[str]:
    """Return the line that ends a list of too many faults."""
    more = len(groups) - MOST_SHOWN
    return [f"{place}: {count(more, 'more fault')} of this kind or another."] if more > 0 else []


def _line(place: str, group: list[Any], problem: str) -> str:
    """Put the place before what is wrong there."""
    first = group[0]
    where = _without_branch(first["loc"])
    if first["type"] in ("extra_forbidden", "missing"):
        where = where[:-1]
    return f"{place}{', ' if where else ''}{_readable(where)}: {problem}"


def _fault(finding: Any, location: Location, root: type[BaseModel]) -> str:
    """Say what is wrong."""
    last = location[-1] if location else ""
    match finding["type"]:
        case "extra_forbidden":
            return str(UnknownName("key", str(last), _fields_at(root, location[:-1])))
        case "missing":
            what = f"value #{last + 1}" if isinstance(last, int) else f"the key {last!r}"
            return f"{what} is missing."
        case "value_error":
            return f"{finding['ctx']['error']}."
        case _:
            return f"{finding['msg']}, but got {_shortened(repr(finding['input']))}."


def _advice(group: list[Any], location: Location, root: type[BaseModel]) -> str:
    """Say what is wrong, and what to write instead."""
    first = group[0]
    if first["type"] == "extra_forbidden":
        return _unknown_key(str(location[-1]), _fields_at(root, location[:-1]), location)
    if all(finding["type"] in _EXPECTED for finding in group):
        return _wrong_value(group, location)
    found = _fault(first, location, root)
    return f"{found}{example(location)}" if first["type"] == "missing" else found


def _grouped(error: ValidationError) -> dict[Location, list[Any]]:
    """Return findings by location; those of the branches of a union are of one location."""
    findings = error.errors(include_url=False)
    groups: dict[Location, list[Any]] = {}
    around = {f["loc"][:length] for f in findings for length in range(len(f["loc"]))}
    for finding in findings:
        location = finding["loc"]
        if finding["type"] == "too_short" and location in around:
            continue  # pydantic counts valid entries only; what is wrong with the others is said
        elsewhere = getattr(finding.get("ctx", {}).get("error"), "location", None)
        groups.setdefault(elsewhere or _without_branch(location), []).append(finding)
    return groups


def _without_branch(location: Location) -> Location:
    """Take away what pydantic appends for a branch of a union, or for the key of a mapping."""
    last = str(location[-1]) if location else ""
    branches = ("str", "int", "float", "bool", "[key]")
    marked = last in branches or last.startswith(("literal[", "constrained-"))
    return location[:-1] if len(location) > 1 and marked else location


def _unknown_key(given: str, fields: list[str], location: Location) -> str:
    called = other_names(given, fields)
    if called:
        return f"unknown key {given!r}. It is called {' or '.join(map(repr, called))} here."
    hint = ""
    if location[:1] == ("models",) and len(location) == 3 and not nearest_names(given, fields):
        hint = f"Hyperparameters go under params = {{ {given} = ... }}."
    return str(UnknownName("key", given, fields, hint))


def _wrong_value(group: list[Any], location: Location) -> str:
    given = group[0]["input"]
    wanted = dict.fromkeys(_wanted(finding, location) for finding in group)
    advice = (remedy(f["type"], location, given, f.get("ctx", {})) for f in group)
    first = next(filter(None, advice), "")
    return f"it must be {' or '.join(wanted)}, not {_shown(given)}.{first}"


def _wanted(finding: Any, location: Location) -> str:
    kind, context = finding["type"], finding.get("ctx", {})
    if is_range(kind, location):
        return "a search range"
    if context.get("pattern") == NAME_PATTERN:
        return _NAME
    return _EXPECTED[kind].format(**context)


def _shown(value: Any) -> str:
    return _shortened(in_toml(value))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _readable(location: Location) -> str:
    text = ""
    for part in location:
        text += f" #{part + 1}" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text


def _fields_at(root: type[BaseModel], location: Location) -> list[str]:
    """Walk from a schema down a location and return the keys that are valid there."""
    current: Any = root
    for part in location:
        if get_origin(current) in (Union, UnionType):
            current = _first_model(current)
        if isinstance(part, str) and isinstance(current, type) and issubclass(current, BaseModel):
            names = {f.alias or n: f.annotation for n, f in current.model_fields.items()}
            current = names.get(part)
        else:  # an index, or a name that the file's author chose
            current = _first_model(current)
    current = _first_model(current)
    if current is None:
        return []
    return [f.alias or n for n, f in current.model_fields.items()]


def _first_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (tuple, dict, Union, UnionType, Annotated):
        for argument in get_args(annotation):
            found = _first_model(argument)
            if found is not None:
                return found
    return None

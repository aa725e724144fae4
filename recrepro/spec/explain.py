"""Explanations of what is wrong in an experiment file, from pydantic's errors."""

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    ValidationError,
)

from recrepro.errors import UnknownName


def explain(error: ValidationError, root: type[BaseModel], place: str) -> str:
    """Turn pydantic's findings into one message: place, what was given, what is allowed."""
    lines = []
    findings = error.errors(include_url=False)
    for finding in findings:
        location = finding["loc"]
        if finding["type"] == "too_short" and any(
            len(f["loc"]) > len(location) and f["loc"][: len(location)] == location
            for f in findings
        ):
            continue  # pydantic counts valid entries only; what is wrong with the others is said
        where = _readable(location)
        if finding["type"] == "extra_forbidden":
            fields = _fields_at(root, location[:-1])
            problem = str(UnknownName("key", str(location[-1]), fields))
            where = _readable(location[:-1])
        elif finding["type"] == "missing":
            last = location[-1]
            what = f"value #{last + 1}" if isinstance(last, int) else f"the key {last!r}"
            problem = f"{what} is missing."
            where = _readable(location[:-1])
        elif finding["type"] == "value_error":
            problem = f"{finding['ctx']['error']}."
        else:
            problem = f"{finding['msg']}, but got {finding['input']!r}."
        lines.append(f"{place}{', ' + where if where else ''}: {problem}")
    return "\n".join(dict.fromkeys(lines))


def _readable(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f" #{part + 1}" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text


def _fields_at(root: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
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

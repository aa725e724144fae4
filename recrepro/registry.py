"""Names to classes: ``name -> "module:attribute"``, imported only when used.

Models come from the entry-point group ``recrepro.models``: each entry point is a table of such
strings, so another package's models plug in without touching this one.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar, cast

from recrepro.errors import RecreproError, UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """A table of things by name.

    Parameters
    ----------
    kind : str
        What it holds, for messages: ``"model"``, ``"split"``.
    table : mapping of str to str, optional
        The built-in names and where each is, as ``"module:attribute"``.
    group : str, optional
        Entry-point group whose entry points are further such tables.
    hint : str, optional
        The next step for someone who used an unknown name.
    fault : callable, optional
        Says what is wrong with a thing that was resolved; None if nothing is.
    """

    def __init__(
        self,
        kind: str,
        table: Mapping[str, str] | None = None,
        *,
        group: str | None = None,
        hint: str = "",
        fault: Callable[[Any], str | None] = lambda _: None,
    ) -> None:
        self.kind = kind
        self.hint = hint
        self._fault = fault
        self._faults: list[str] = []
        self._group = group
        self._targets: dict[str, str] = dict(table or {})
        self._origins: dict[str, str] = dict.fromkeys(self._targets, "recrepro")
        self._loaded = group is None

    def _load(self) -> None:
        if self._loaded:
            return
        for point in entry_points(group=cast("str", self._group)):
            origin = f"{point.dist.name if point.dist else '?'} ({point.value})"
            try:
                table = dict(point.load())
            except Exception as error:  # noqa: BLE001 - a broken plugin must not stop the others
                reason = f"{type(error).__name__}: {error}"
                self._faults.append(f"The {self.kind}s of {origin} cannot be loaded: {reason}.")
                continue
            for name, target in table.items():
                self.add(name, target, origin)
        self._loaded = True

    def faults(self) -> list[str]:
        """Return what is wrong with tables that could not be loaded."""
        self._load()
        return list(self._faults)

    def add(self, name: str, target: str, origin: str) -> None:
        """Add a name; a name that is taken is an error that names both origins."""
        if self._origins.get(name, origin) != origin:
            raise RecreproError(
                f"two packages announce the {self.kind} {name!r}: {self._origins[name]} and "
                f"{origin}. Uninstall one of them."
            )
        self._targets[name] = target
        self._origins[name] = origin

    def names(self) -> list[str]:
        """Return all names, sorted."""
        self._load()
        return sorted(self._targets)

    def origin(self, name: str) -> str:
        """Return which package a name comes from."""
        self.resolve_target(name)
        return self._origins[name]

    def resolve_target(self, name: str) -> str:
        """Return where a name's object is, as ``"module:attribute"``, without importing it."""
        self._load()
        if name not in self._targets:
            hint = self.hint
            if not self._targets:
                hint = (
                    f"No {self.kind} is installed at all: is recrepro run from a checkout that "
                    "it was not installed from? Install it with `pip install -e .`."
                )
            raise UnknownName(self.kind, name, self._targets, " ".join([hint, *self._faults]))
        return self._targets[name]

    def resolve(self, name: str) -> T:
        """Import and return what a name stands for."""
        module, _, attribute = self.resolve_target(name).partition(":")
        try:
            home = import_module(module)
        except ModuleNotFoundError as error:
            missing = (error.name or "?").partition(".")[0]
            what = "'recrepro[neural]'" if missing == "torch" else missing
            raise RecreproError(
                f"the {self.kind} {name!r} needs the package {missing!r}, which is not installed. "
                f"Install it with `pip install {what}`."
            ) from error
        thing = getattr(home, attribute, None)
        fault = self._fault(thing) if thing is not None else "does not exist"
        if fault is not None:
            raise RecreproError(
                f"the {self.kind} {name!r} of {self._origins[name]} points to "
                f"{module}:{attribute}, which {fault}."
            )
        return cast("T", thing)

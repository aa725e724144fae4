"""Finds a model by ``"package.module:Class"`` or ``"path/to/file.py:Class"``."""

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from recrepro.custom.function import function_model
from recrepro.errors import UnknownName, UsageError, blame
from recrepro.model import Recommender
from recrepro.models import MODELS, model_fault

EXPORTED = ".recrepro-code"
"""File at the top of an exported bundle that has a model's code."""

ROOT_MARKS = (".git", "pyproject.toml", "setup.py", "setup.cfg", EXPORTED)
"""What the top folder of a project has in it."""

EXPECTED = (
    'Write "package.module:Class", or "path/to/file.py:Class" with a path that starts at the '
    "folder of the experiment."
)


def resolve_model(name: str, target: str | None, base: Path) -> type[Recommender]:
    """Return the class of a model: a registered one by its name, or another one by its target.

    Parameters
    ----------
    name : str
        Name of the model in the experiment.
    target : str or None
        Value of the experiment's key `class`.
    base : Path
        Folder of the experiment: relative paths start there, and modules are looked for there too.

    Raises
    ------
    UsageError
        If there is no such file, module or class, or it is no model.
    """
    return MODELS.resolve(name) if target is None else load_model(target, base)


def load_model(target: str, base: Path) -> type[Recommender]:
    """Import a class or function by its target, and return it as a model: see `resolve_model`."""
    place, _, attribute = target.rpartition(":")
    if not place or not attribute.isidentifier():
        raise UsageError(f"class = {target!r} is not understood. {EXPECTED}")
    try:
        home = _from_file(base / place) if place.endswith(".py") else _from_module(place, base)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(
            f"class = {target!r} cannot be loaded: {blame(error)}. Correct it there, then try "
            f"again; `python {place if place.endswith('.py') else f'-m {place}'}` shows the same."
        ) from error
    thing = getattr(home, attribute, None)
    if thing is None:
        raise UnknownName("class or function", attribute, list(_models_in(home)), f"In {place}.")
    if inspect.isfunction(thing):
        return function_model(thing)
    fault = model_fault(thing)
    if fault is not None:
        raise UsageError(f"class = {target!r}: {attribute} {fault}.")
    model: type[Recommender] = thing
    return model


def _models_in(home: ModuleType) -> Iterator[str]:
    """Name what a module defines itself and could be a model."""
    for name, thing in vars(home).items():
        own = getattr(thing, "__module__", None) == home.__name__
        if own and (inspect.isfunction(thing) or model_fault(thing) is None):
            yield name


def _from_file(path: Path) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        folder = path.parent
        near = [p.name for p in folder.glob("*.py")] if folder.is_dir() else []
        raise UnknownName("model file", path.name, near, f"Looked in {folder}.")
    # A name of its own: files of several folders may have the same one, and a file that was edited
    # while this process ran is another module.
    unique = hashlib.sha256(str(path).encode() + b"\0" + path.read_bytes()).hexdigest()
    name = f"{path.stem}_{unique[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    _look_in(path.parent)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _from_module(name: str, base: Path) -> ModuleType:
    root = project_root(base.resolve())
    _look_in(base.resolve(), root, root / "src")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there, and what it imports is not
        places = ", ".join(dict.fromkeys([str(base.resolve()), str(root)]))
        raise UsageError(
            f"there is no module {name!r}: it is neither installed nor in {places}. Install its "
            f"package (pip install -e .), or name its file. {EXPECTED}"
        ) from error


def project_root(folder: Path) -> Path:
    """Return the top folder of the project that a folder belongs to; itself if there is none."""
    for place in (folder, *folder.parents):
        if any((place / mark).exists() for mark in ROOT_MARKS):
            return place
    return folder


def _look_in(*folders: Path) -> None:
    """Let imports find modules in folders, after all other places."""
    for folder in folders:
        if folder.is_dir() and str(folder) not in sys.path:
            sys.path.append(str(folder))

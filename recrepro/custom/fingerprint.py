"""The fingerprint of a model's code: changed code is another model, changed comments are not."""

import ast
import hashlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from textwrap import dedent
from typing import Any

from recrepro.custom.function import FunctionRecommender
from recrepro.custom.load import project_root
from recrepro.errors import UsageError, in_library
from recrepro.model import Recommender
from recrepro.spec.canonical import canonical_hash

UNTOLD = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
"""Files of an installed package that tell how it was installed."""


def fingerprint(model: type[Recommender]) -> str:
    """Hash the code of a model.

    That is the syntax tree, without comments and docstrings, of the module that defines it and of
    all modules of the same project that it imports, directly or not; of a model from an installed
    package, the package's name, version and files; of one from a notebook, its own source.

    Parameters
    ----------
    model : type of Recommender
        The model.

    Raises
    ------
    UsageError
        If the source cannot be read.
    """
    thing: Any = model.function if issubclass(model, FunctionRecommender) else model
    path = module_file(model)
    code: dict[str, Any] = {"name": thing.__qualname__}
    if path is None:
        code["source"] = _plain(_own_source(thing))
    elif in_library(path):
        code["package"] = _package(thing.__module__)
    else:
        code["modules"] = {
            name: _plain(file.read_bytes()) for name, file in project_files(path).items()
        }
    return canonical_hash(code)


def files_fingerprint(params: Mapping[str, Any], base: Path) -> dict[str, str]:
    """Hash the files that hyperparameters name.

    Parameters
    ----------
    params : mapping of str to object
        Hyperparameters by name.
    base : Path
        Folder that relative names start from.
    """
    files = {}
    for name, value in params.items():
        if isinstance(value, str) and value and (base / value).is_file():
            with (base / value).open("rb") as file:
                files[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return files


def package_of(model: type[Recommender]) -> str | None:
    """Return name and version of the installed package that a model is from, if it is from one."""
    path = module_file(model)
    if path is None or not in_library(path):
        return None
    package = _package(model.__module__)
    return f"{package['name']} {package['version']}"


def module_file(model: type[Recommender]) -> Path | None:
    """Return the file that defines a model; None for one from a notebook."""
    module = sys.modules.get(model.__module__)
    name = getattr(module, "__file__", None)
    return None if name is None else Path(name).resolve()


def project_files(path: Path) -> dict[str, Path]:
    """Return a module's file and those of the same project that it imports, by place in it.

    Imports are read from the source, wherever they stand in it. Modules that are imported by a
    computed name are not found.
    """
    root = project_root(path.parent)
    found: dict[str, Path] = {}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        name = file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name
        if name in found:
            continue
        found[name] = file
        waiting += _imported(file, root)
    return dict(sorted(found.items()))


def _imported(file: Path, root: Path) -> Iterator[Path]:
    """Yield the files of a project that a file of it imports, and those of their packages."""
    for node in ast.walk(_tree(file.read_bytes(), str(file))):
        if isinstance(node, ast.Import):
            names, starts = [alias.name for alias in node.names], _roots(file, root)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [f"{module}.{alias.name}".strip(".") for alias in node.names]
            starts = [file.parents[node.level - 1]] if node.level else _roots(file, root)
        else:
            continue
        for name in names:
            for start in starts:
                yield from _files_of(start, name.split("."))


def _roots(file: Path, root: Path) -> list[Path]:
    return list(dict.fromkeys([file.parent, root, root / "src"]))


def _files_of(start: Path, parts: list[str]) -> Iterator[Path]:
    """Yield the file of a dotted name below a folder, and the ``__init__.py`` on the way to it."""
    for n in range(1, len(parts) + 1):
        place = start.joinpath(*parts[:n])
        for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if file.is_file():
                yield file.resolve()
        if not place.is_dir():
            return


def _tree(source: bytes | str, name: str = "<source>") -> ast.Module:
    try:
        return ast.parse(source, name)
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{name} is not valid Python: {error}.") from error


def _plain(source: bytes | str) -> str:
    """Hash source code without its comments, its docstrings and its layout."""
    tree = _tree(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


def _own_source(thing: Any) -> str:
    """Return the source of something that is in no file, such as a cell of a notebook."""
    try:
        if not inspect.isclass(thing):
            return dedent(inspect.getsource(thing))
        # Python finds the source of a method in a notebook, and not that of a class.
        methods = [part for part in vars(thing).values() if inspect.isfunction(part)]
        told = [dedent(inspect.getsource(method)) for method in methods]
    except (OSError, TypeError):
        told = []
    if not told:
        raise UsageError(
            f"the source of {thing.__qualname__} cannot be read, so that recrepro could not tell "
            "when it changes. Put it into a file, and name that: class = "
            f'"path/to/file.py:{thing.__qualname__}".'
        )
    config = getattr(thing, "Config", None)
    fields = {} if config is None else config.model_fields
    return "\n".join([*told, *(f"{name!r}, {str(field)!r}" for name, field in fields.items())])


@cache
def _package(module: str) -> dict[str, Any]:
    """Return name, version and the hashes of the files of the package that has a module."""
    top = module.partition(".")[0]
    names = metadata.packages_distributions().get(top, [])
    if not names:
        raise UsageError(
            f"the module {module!r} is among the installed packages, but belongs to none of them. "
            "Install its package with pip, or name its file."
        )
    package = metadata.distribution(names[0])
    files = {}
    for file in package.files or ():
        path = Path(str(package.locate_file(file)))
        told = file.name not in UNTOLD and file.suffix != ".pyc" and file.parts[0] != ".."
        if told and path.is_file():
            files[file.as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"name": package.metadata["Name"], "version": package.version, "files": files}

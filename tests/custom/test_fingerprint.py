"""The fingerprint of code: what changes it, and what does not."""

import linecache
import sys

import pytest

from recrepro.custom.fingerprint import files_fingerprint, fingerprint, package_of
from recrepro.custom.load import load_model
from recrepro.errors import UsageError

MODEL = '''"""A module."""
import numpy as np
from recrepro.model import Recommender
from {package}.deep import helper

class Model(Recommender):
    """A model."""
    def fit(self, train, rng):
        """Fit."""
        from {package} import late  # imported when it is needed
        self.n = train.n_items + helper.ZERO + late.ZERO
        return self
    def score(self, users, histories):
        return np.zeros((len(users), self.n), np.float32)

class Second(Model):
    """Another one."""

def fit(train, rng):
    return None
'''


@pytest.fixture
def project(tmp_path, request):
    """Write a project; return a function that changes a file and gives the new fingerprint."""
    package = f"q{abs(hash(request.node.name)) % 10**8}"
    files = {
        f"{package}/__init__.py": "",
        f"{package}/deep/__init__.py": "",
        f"{package}/deep/helper.py": "from . import below\nZERO = below.ZERO\n",
        f"{package}/deep/below.py": "ZERO = 0\n",
        f"{package}/late.py": "ZERO = 0\n",
        f"{package}/unused.py": "ZERO = 0\n",
        "model.py": MODEL.format(package=package),
        "pyproject.toml": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    before, search = set(sys.modules), list(sys.path)

    def changed(name=None, old="", new="", *, target="model.py:Model"):
        if name is not None:
            path = tmp_path / name.replace("PACKAGE", package)
            text = path.read_text()
            assert old in text
            path.write_text(text.replace(old, new) if old else text + new)
        for module in set(sys.modules) - before:
            del sys.modules[module]
        return fingerprint(load_model(target, tmp_path))

    yield changed
    sys.path[:] = search
    for module in set(sys.modules) - before:
        del sys.modules[module]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("model.py", "np.zeros", "np.ones"),
        ("model.py", "", "\nX = 1\n"),
        ("PACKAGE/deep/helper.py", "below.ZERO", "below.ZERO + 0"),
        ("PACKAGE/deep/below.py", "ZERO = 0", "ZERO = 1"),
        ("PACKAGE/deep/__init__.py", "", "X = 1\n"),
        ("PACKAGE/late.py", "ZERO = 0", "ZERO = 0.0"),
    ],
)
def test_changed_code_has_another_fingerprint(project, name, old, new):
    before = project()
    assert project() == before
    assert project(name, old, new) != before
    assert project(name, new, old) == before or not old


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("model.py", '"""A model."""', '"""The model, said otherwise."""'),
        ("model.py", '        """Fit."""\n', ""),
        ("model.py", "  # imported when it is needed", ""),
        ("model.py", "    def score", "\n\n    # a comment\n    def score"),
        ("PACKAGE/unused.py", "ZERO = 0", "ZERO = 1"),
    ],
)
def test_comments_docstrings_layout_and_other_modules_do_not_count(project, name, old, new):
    before = project()
    assert project(name, old, new) == before


def test_two_models_of_a_module_differ(project):
    prints = {project(target=f"model.py:{name}") for name in ("Model", "Second", "fit")}
    assert len(prints) == 3


CELL = """
from recrepro.model import Recommender
class FromNotebook(Recommender):
    def fit(self, train, rng):
        return self
    def score(self, users, histories):
        return {value}
"""


def notebook(value, *, told):
    """Define a class as a notebook does: in a module without a file."""
    text = CELL.format(value=value)
    name = f"<cell {value}>"
    space = {"__name__": "__main__"}
    exec(compile(text, name, "exec"), space)
    if told:
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    return space["FromNotebook"]


def test_a_class_of_a_notebook_is_hashed_by_its_source_or_refused(monkeypatch):
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    with pytest.raises(UsageError, match=r"the source of FromNotebook cannot be read.*into a file"):
        fingerprint(notebook(1, told=False))
    prints = [fingerprint(notebook(value, told=True)) for value in ("2", "3", "2  # the same")]
    assert prints[0] == prints[2] != prints[1]


def test_files_that_hyperparameters_name_count(tmp_path):
    (tmp_path / "vectors.txt").write_text("1 2")
    params = {"vectors": "vectors.txt", "l2": 1.0, "name": "adam", "none": None}
    before = files_fingerprint(params, tmp_path)
    assert list(before) == ["vectors"]
    (tmp_path / "vectors.txt").write_text("1 3")
    assert files_fingerprint(params, tmp_path) != before


def install(folder, version, scale):
    """Put a package where pip would put it."""
    (folder / "installed_models.py").write_text(CELL.format(value=scale))
    info = folder / f"installed_models-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: installed-models\nVersion: {version}\n")
    (info / "top_level.txt").write_text("installed_models\n")
    (info / "RECORD").write_text(
        f"installed_models.py,,\n{info.name}/METADATA,,\n{info.name}/RECORD,,\n"
    )


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        (("1.0", 1), ("1.0", 1), True),
        (("1.0", 1), ("1.1", 1), False),
        (("1.0", 1), ("1.0", 2), False),
    ],
)
def test_an_installed_package_counts_by_name_version_and_content(
    tmp_path, monkeypatch, first, second, equal
):
    prints = []
    for place, (version, scale) in enumerate((first, second)):
        folder = tmp_path / str(place)
        folder.mkdir()
        install(folder, version, scale)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            patch.setattr("sysconfig.get_path", lambda _, folder=folder: str(folder))
            patch.delitem(sys.modules, "installed_models", raising=False)
            from recrepro.custom.fingerprint import _package

            _package.cache_clear()
            model = load_model("installed_models:FromNotebook", tmp_path)
            prints.append(fingerprint(model))
            assert package_of(model) == f"installed-models {version}"
            _package.cache_clear()
        sys.modules.pop("installed_models", None)
    assert (prints[0] == prints[1]) == equal

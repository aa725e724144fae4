"""Models by class, file or function: what is found, and what is said if it is not."""

import re
import sys

import numpy as np
import pytest

from recrepro.custom.load import load_model, project_root
from recrepro.errors import UnknownName, UsageError
from recrepro.model import Recommender
from recrepro.randomness import generator
from recrepro.spec.experiment import ModelSpec
from recrepro.testing import toy_interactions

MODEL = '''
from typing import Annotated
import numpy as np
from recrepro.model import ModelConfig, Recommender
from recrepro.space import LogUniform
from {helper} import SCALE

class Flat(Recommender):
    """All items alike."""
    class Config(ModelConfig):
        """One."""
        l2: Annotated[float, LogUniform(0.1, 10.0)] = 1.0
    def fit(self, train, rng):
        self.n = train.n_items
        return self
    def score(self, users, histories):
        return np.full((len(users), self.n), SCALE * self.config.l2, np.float32)

class NoScore(Recommender):
    def fit(self, train, rng):
        return self

class Plain:
    pass

NUMBER = 3

def popular(train, rng, *, l2: Annotated[float, LogUniform(0.1, 10.0)] = 1.0):
    counts = train.item_counts.astype(np.float32) / l2
    return lambda users, histories: np.tile(counts, (len(users), 1))

def bare(train, rng):
    return lambda users, histories: np.zeros(histories.shape, np.float32)

def untyped(train, rng, *, l2=1.0):
    return None

def no_default(train, rng, *, l2: float):
    return None

def not_a_model(train):
    return None
'''


@pytest.fixture
def project(tmp_path, request):
    """A project with a model, in a package and in a file; its modules are forgotten afterwards."""
    unique = f"p{abs(hash(request.node.name)) % 10**8}"
    (tmp_path / "pyproject.toml").touch()
    package = tmp_path / "src" / unique
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "helper.py").write_text("SCALE = 2.0\n")
    (package / "models.py").write_text(MODEL.format(helper=f"{unique}.helper"))
    folder = tmp_path / "experiments"
    folder.mkdir()
    (folder / f"{unique}_helper.py").write_text("SCALE = 3.0\n")
    (folder / "own.py").write_text(MODEL.format(helper=f"{unique}_helper"))
    before, path = set(sys.modules), list(sys.path)
    yield unique, folder
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if name.startswith((unique, "own_")):
            del sys.modules[name]


def scores(model):
    train = toy_interactions()
    fitted = model().fit(train, generator(1, "fit"))
    return fitted.score(np.arange(train.n_users, dtype=np.int32), train.matrix)


def test_a_class_is_found_in_a_file_and_in_a_module_of_the_project(project):
    name, folder = project
    assert (scores(load_model("own.py:Flat", folder)) == 3.0).all()
    assert (scores(load_model(f"{name}.models:Flat", folder)) == 2.0).all()
    assert load_model("own.py:Flat", folder) is load_model("own.py:Flat", folder)


def test_files_of_the_same_name_in_two_folders_are_two_models(project):
    _, folder = project
    other = folder / "other"
    other.mkdir()
    text = (folder / "own.py").read_text().replace("SCALE * self", "7.0 * self")
    (other / "own.py").write_text(text)
    assert (scores(load_model("own.py:Flat", folder)) == 3.0).all()
    assert (scores(load_model("other/own.py:Flat", folder)) == 7.0).all()


def test_a_function_is_a_model_with_its_annotations_as_hyperparameters(project):
    model = load_model("own.py:popular", project[1])
    assert issubclass(model, Recommender)
    assert model.Config().l2 == 1.0
    train = toy_interactions()
    assert (scores(model) == np.tile(train.item_counts, (train.n_users, 1))).all()
    assert not model.inductive
    assert load_model("own.py:bare", project[1]).Config.model_fields == {}


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("own.py", ["is not understood", "path/to/file.py:Class"]),
        ("own:", ["is not understood"]),
        ("onw.py:Flat", ["unknown model file 'onw.py'", "Did you mean 'own.py'"]),
        ("own.py:Flta", ["unknown class or function 'Flta'", "Did you mean 'Flat'"]),
        ("no.such.module:Flat", ["there is no module 'no.such.module'", "pip install -e ."]),
        ("own.py:Plain", ["Plain is no model: derive it from recrepro.model.Recommender"]),
        ("own.py:NUMBER", ["NUMBER is no model"]),
        ("own.py:NoScore", ["NoScore has no method score"]),
        ("own.py:untyped", ["'l2' of untyped() needs a type and a default"]),
        ("own.py:no_default", ["'l2' of no_default() needs a type and a default"]),
        ("own.py:not_a_model", ["not_a_model(train) is no model", "def not_a_model(train, rng"]),
    ],
)
def test_what_is_no_model_is_refused_with_what_to_write(project, target, parts):
    with pytest.raises((UsageError, UnknownName)) as error:
        load_model(target, project[1])
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import numpy\nimport nosuchmodule\n", r"ModuleNotFoundError.*nosuchmodule.*broken\.py:2"),
        ("def f(:\n", r"SyntaxError.*broken\.py:1"),
        ("x = {}\n\ny = x['a']\n", r"KeyError: 'a' \(.*broken\.py:3, in <module>\)"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_blamed_with_its_line(project, text, said):
    _, folder = project
    (folder / "broken.py").write_text(text)
    with pytest.raises(UsageError) as error:
        load_model("broken.py:Model", folder)
    assert re.search(said, str(error.value), re.DOTALL)


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("two.py:TwoTower", "twotower"),
        ("a.b.two:TwoTower", "twotower"),
        ("a/b/two_tower.py:fit", "two_tower"),
        ("a.b.two:Model", "two"),
        ("two.py:_Ünïversal", "nversal"),
    ],
)
def test_a_model_without_a_name_is_called_like_its_class(target, name):
    assert ModelSpec.model_validate({"class": target}).title == name


def test_the_top_folder_of_a_project_is_found(project):
    _, folder = project
    assert project_root(folder) == folder.parent

"""The code of a model that is not recrepro's own, as a bundle ships it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from recrepro.custom.fingerprint import fingerprint, module_file, package_of, project_files
from recrepro.custom.load import EXPORTED, project_root, resolve_model
from recrepro.errors import RecreproError, UsageError
from recrepro.reproduce.locate import FoundRun
from recrepro.reproduce.refit import base_of
from recrepro.spec.experiment import Experiment


@dataclass(frozen=True)
class ShippedCode:
    """Files of a model's project, and how an experiment beside them names the model.

    Parameters
    ----------
    files : dict of str to Path
        By place in the project.
    target : str
        Value of the experiment's key `class`.
    data : dict of str to Path
        Files that hyperparameters name, by the name they have there.
    """

    files: dict[str, Path]
    target: str
    data: dict[str, Path]

    def write(self, folder: Path, experiment: Experiment) -> Experiment:
        """Copy the files to a folder, and return the experiment that takes the model from there."""
        for name, path in (self.files | self.data).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)
        (folder / EXPORTED).write_text("The code of the model starts in this folder.\n")
        (spec,) = experiment.models
        moved = spec.model_copy(update={"name": spec.name, "target": self.target})
        return experiment.model_copy(update={"models": (moved,)})


def code_to_ship(run: FoundRun, experiment: Experiment) -> ShippedCode:
    """Find the code of a recorded model, and refuse code that is not as recorded.

    Parameters
    ----------
    run : FoundRun
        The record.
    experiment : Experiment
        Its experiment, with one model.

    Raises
    ------
    UsageError
        If the code is not here any more, or lies outside its project.
    RecreproError
        If it was changed, or is an installed package, whose wheel recrepro does not have.
    """
    recorded = run.record.model.code
    assert recorded is not None
    (spec,) = experiment.models
    base = base_of(run, None)
    model = resolve_model(spec.name, spec.target, base)
    package, path = package_of(model), module_file(model)
    if package is not None or path is None:
        where = "a notebook" if package is None else f"the installed package {package}"
        raise RecreproError(
            f"the model {spec.title!r} is from {where}, whose source is not here, so that a bundle "
            "would lack it. Install it from its checkout (pip install -e FOLDER), or name its file "
            'in the experiment (class = "path/to/file.py:Class"), then run and export it.'
        )
    if fingerprint(model) != recorded.fingerprint:
        commit = recorded.repository.commit
        back = f" Check out commit {commit}, then export again." if commit else ""
        raise RecreproError(
            f"the code of {spec.title!r} was changed since the run: a bundle would not reproduce "
            f"it.{back}"
        )
    root = project_root(path.parent)
    name = model.__qualname__
    # A module of a package keeps its dotted name, which its own imports may rely on.
    by_file = spec.target is not None and spec.target.rpartition(":")[0].endswith(".py")
    place = path.relative_to(root).as_posix() if by_file else model.__module__
    planned = run.record.identity.model
    named = {} if planned is None or planned.files is None else planned.files
    data = {str(spec.params[key]): base / str(spec.params[key]) for key in named}
    outside = [name for name in data if Path(name).is_absolute() or ".." in Path(name).parts]
    if outside:
        raise UsageError(
            f"the hyperparameters of {spec.title!r} name files outside the experiment's folder: "
            f"{', '.join(outside)}. Move them there, then run and export again."
        )
    return ShippedCode(project_files(path), f"{place}:{name}", data)

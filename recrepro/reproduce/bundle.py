"""What `recrepro export` writes: a folder from which a stranger reproduces a run."""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import tomli_w
from packaging.requirements import Requirement
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from recrepro.durable import new_folder
from recrepro.errors import RecreproError, UsageError
from recrepro.reproduce.code import code_to_ship
from recrepro.reproduce.locate import PER_USER, FoundRun
from recrepro.reproduce.refit import base_of, own_files, recorded_experiment
from recrepro.run.packages import needed
from recrepro.run.provenance import checkout, code_state
from recrepro.spec.experiment import Experiment, load_experiment
from recrepro.store.records import Provenance, Record, RecordedCode
from recrepro.tables.markdown import code, escape


def write_bundle(run: FoundRun, folder: Path, wheel: Path | None = None) -> None:
    """Write record, experiment, per-user values, pins, recrepro itself and how to use them.

    Parameters
    ----------
    run : FoundRun
        What to reproduce.
    folder : Path
        Is made; nothing is there before all of it is written.
    wheel : Path, optional
        Of recrepro; by default one is built from the checkout.

    Raises
    ------
    UsageError
        If the folder is not empty, or the record cannot be run again.
    RecreproError
        If there is no wheel to put in.
    """
    experiment = recorded_experiment(run.record)
    shipped = None if run.record.model.code is None else code_to_ship(run, experiment)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there and not an empty folder: name another one.")
    try:
        with new_folder(folder) as draft:
            if shipped is not None:
                experiment = shipped.write(draft, experiment)
            _fill(draft, run, experiment, wheel)
    except OSError as error:
        raise RecreproError(f"{folder} cannot be written: {error}. Name another folder.") from error


def _fill(draft: Path, run: FoundRun, experiment: Experiment, wheel: Path | None) -> None:
    # Folders of this machine are nobody's business; files are looked for beside the record.
    record = run.record.model_copy(update={"base": ".", "experiment": experiment.to_json()})
    text = json.dumps(record.to_json(), indent=1) + "\n"
    (draft / "record.json").write_text(text, encoding="utf-8")
    text = tomli_w.dumps(experiment.to_json())
    (draft / "experiment.toml").write_text(text, encoding="utf-8")
    if load_experiment(draft / "experiment.toml") != experiment:
        raise RecreproError("the experiment cannot be written as TOML; please report this record.")
    per_user = run.read_per_user()
    if per_user is not None:
        (draft / PER_USER).write_bytes(per_user)
    if wheel is None:
        _build_wheel(draft)
    else:
        shutil.copy(wheel, draft)
    (built,) = draft.glob("*.whl")
    pins = "".join(f"{name}=={version}\n" for name, version in _pins(run.record).items())
    (draft / "requirements.txt").write_text(f"./{built.name}\n{pins}", encoding="utf-8")
    (draft / "README.md").write_text(_readme(run, experiment), encoding="utf-8")
    sums = "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(draft).as_posix()}\n"
        for path in sorted(draft.rglob("*"))
        if path.is_file()
    )
    (draft / "SHA256SUMS").write_text(sums, encoding="utf-8")


def _recorded_packages(record: Record) -> dict[str, Version]:
    """Return versions by normalised name; refuse what is no name or no version of a package.

    A stranger may have written the record, and pip takes options and addresses for requirements.
    """
    found: dict[str, Version] = {}
    for name, version in record.provenance.packages.items():
        try:
            found[canonicalize_name(name, validate=True)] = Version(version)
        except (InvalidName, InvalidVersion) as error:
            raise UsageError(
                f"the record lists the package {name[:80]!r} in version {version[:80]!r}, and "
                f"{str(error)[:200]}. No bundle can be made of it: export the run from where it "
                "was made."
            ) from error
    return found


def _pins(record: Record) -> dict[str, str]:
    """Return what recrepro needs for this model, in the recorded versions where there are.

    No other package of the record is asked for: anybody could publish one of its name.
    """
    own = "recrepro[neural]" if record.model.family == "neural" else "recrepro"
    here = needed((own,))
    pins = here | {name: str(version) for name, version in _recorded_packages(record).items()}
    stated = {canonicalize_name(Requirement(one).name) for one in requires("recrepro") or ()}
    # A build such as 2.13.0+cpu is not on PyPI by that name; any build of 2.13.0 satisfies it.
    return {
        name: version.partition("+")[0]
        for name, version in sorted(pins.items())
        if name in here.keys() | stated and name != "recrepro"
    }


def _build_wheel(target: Path) -> None:
    root = checkout()
    if root is None:
        raise RecreproError(
            "recrepro is installed here and not run from a checkout, so its wheel cannot be built. "
            "Name the one that it was installed from with --wheel FILE."
        )
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "recrepro"
        for path in _sources(root):
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / path, copy / path)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        command += ["--no-build-isolation", "--no-index", "--wheel-dir", str(target), str(copy)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RecreproError(
            f"pip could not build a wheel of {root}: {_cause(done.stderr)}. Install pip and "
            "setuptools, or name a wheel with --wheel FILE."
        )


def _cause(text: str) -> str:
    """Return the line of pip's messages that tells the cause, or the last one."""
    lines = [line.strip().rstrip(".") for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("hint:", "note:", "╰─>"))]
    told = [line for line in lines if line.startswith("error: ") and "subprocess" not in line]
    return ([*told, *lines[-1:], "no message"])[0].removeprefix("error: ")


def _sources(root: Path) -> Iterator[Path]:
    """Yield what a wheel is built from; building in the checkout would leave files there."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    yield Path("pyproject.toml")
    yield Path(project["project"]["readme"])
    yield from map(Path, project["project"]["license-files"])
    places = project["tool"]["setuptools"]["package-dir"]
    for package in project["tool"]["setuptools"]["packages"]:
        folder = root / places.get(package, package.replace(".", "/"))
        for path in folder.iterdir():
            if path.is_file() and path.suffix != ".pyc":
                yield path.relative_to(root)


def _readme(run: FoundRun, experiment: Experiment) -> str:
    record = run.record
    provenance, model = record.provenance, record.model.code
    base = " --base FOLDER_OF_THE_DATA" if own_files(experiment) else ""
    python = escape(provenance.python)
    lines = [
        f"# {escape(record.name.path)}",
        "",
        f"One run of recrepro, with Python {python}. In this folder, best in a new",
        "virtual environment:",
        "",
        "```",
        "python -m pip install -r requirements.txt",
        f"recrepro reproduce record.json{base}",
        "```",
        "",
        "The second command fits the model again and says whether the result is identical, within",
        "tolerance, or different, and what differs in the environment. `--retune` repeats the",
        "search.",
        "",
        *_trust(model),
        "",
        "| metric | recorded |",
        "| --- | --- |",
        *(f"| {code(metric)} | {value} |" for metric, value in record.metrics.items()),
        "",
        "## Data",
        "",
        *_data_lines(run, experiment),
        "",
        "## Where it was made",
        "",
        f"- {escape(provenance.system)}, {escape(provenance.processor)}, Python {python}",
        *_code_lines(provenance),
        *([] if model is None else [_model_line(model)]),
        *_unpinned(record),
        "- all else: `recrepro show record.json`",
        "",
        "`sha256sum -c SHA256SUMS` checks the files.",
        "",
    ]
    return "\n".join(lines)


def _trust(model: RecordedCode | None) -> list[str]:
    """Say whose code the commands run."""
    if model is None:
        return [
            "The first command installs, and the second runs, code that is in this folder: use",
            "them only if you trust who made it. With a recrepro of your own,",
            "`recrepro reproduce record.json` reads data only.",
        ]
    return [
        "Both commands run code that is in this folder, the second one that of the model, too: use",
        "them only if you trust who made it. `recrepro show record.json` reads data only.",
    ]


def _model_line(model: RecordedCode) -> str:
    state = model.repository
    changed = " with changes" if state.dirty else ""
    where = f"commit {escape(state.commit)}{changed}" if state.commit else "in no git repository"
    return f"- the model is {escape(model.place)}, {where}; its code is here"


def _unpinned(record: Record) -> Iterator[str]:
    """Name the packages of the record that are not installed by the first command."""
    others = _recorded_packages(record).keys() - _pins(record).keys() - {"recrepro"}
    if others:
        yield f"- packages there that recrepro does not need: {', '.join(sorted(others))}"


def _data_lines(run: FoundRun, experiment: Experiment) -> Iterator[str]:
    (dataset,) = experiment.datasets
    base = base_of(run, None)
    for name in own_files(experiment):
        path = base / name
        digest = "unknown: not there on export"
        if path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        yield f"- {code(name)} is needed and not in this folder; SHA-256 {digest}"
    if dataset.synthetic is not None:
        yield f"- {code(dataset.name)} is made by recrepro, nothing is needed"
    elif dataset.file is None and dataset.train is None:
        yield (
            f"- {code(dataset.name)} is loaded by name: a copy in a folder given by `--data DIR`, "
            "or a download"
        )
    fingerprint = escape(run.record.identity.data.fingerprint)
    yield f"- fingerprint after filtering: {fingerprint}; it is checked before anything is fitted"


def _code_lines(provenance: Provenance) -> Iterator[str]:
    recorded, now = provenance.code, code_state()
    commit = f"{escape(str(recorded.commit))}{' with changes' if recorded.dirty else ''}"
    yield f"- recrepro {escape(provenance.recrepro)}, commit {commit}"
    if (recorded.commit, recorded.diff) != (now.commit, now.diff):
        changed = " with changes" if now.dirty else ""
        yield f"- the recrepro in this folder is another one: commit {now.commit}{changed}"

"""`recrepro study`: run what fits into a given time, keep records, write the page."""

import contextlib
import signal
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from recrepro.cli.console import make_console
from recrepro.cli.grid import run_experiment
from recrepro.cli.options import (
    data_option,
    jobs_option,
    ledger_url,
    workspace_option,
)
from recrepro.data.load import unavailable
from recrepro.durable import new_file
from recrepro.errors import RecreproError, UnknownName, UsageError
from recrepro.run.resolve import check_names
from recrepro.spec.experiment import Experiment
from recrepro.spec.places import located
from recrepro.store.ledger import Ledger
from recrepro.store.results import results_in
from recrepro.store.workspace import Workspace
from recrepro.study import page as verdict_page
from recrepro.study.records import StudyRecord, archived, read_records
from recrepro.study.spec import (
    QUICK_HOURS,
    QUICK_MINUTES,
    Loaded,
    Stage,
    load_study,
    quick,
)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@data_option
@workspace_option
@jobs_option
@click.option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True),
    help="How long to run.  [default: until all is done; with --quick 0.45]",
)
@click.option("--quick", is_flag=True, help="500 users, seconds for each model, one seed; marked.")
@click.option("--only", multiple=True, metavar="PAPER", help="Run this paper's experiments only.")
@click.option(
    "--records",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the record of each experiment.  [default: WORKSPACE/study/records]",
)
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The page of verdicts.  [default: WORKSPACE/study/verdicts.md]",
)
def study(
    file: Path,
    data_dir: Path | None,
    workspace: Path,
    jobs: int | None,
    hours: float | None,
    quick: bool,  # click gives it by name
    only: tuple[str, ...],
    records: Path | None,
    page: Path | None,
) -> None:
    """Run a study of papers, and write the page of verdicts.

    Each paper's method as it was published, and tuned beside simple baselines with equal budgets.
    What is done is not done again: run the same command until all of it is. Nothing is downloaded.
    """
    folder = workspace / "study"
    run_study(
        file,
        Options(
            workspace,
            records or folder / ("records-quick" if quick else "records"),
            page or folder / ("verdicts-quick.md" if quick else "verdicts.md"),
            data_dir,
            hours,
            quick,
            only,
            jobs,
            ledger_url(),
        ),
    )


class TimeIsUpError(KeyboardInterrupt):
    """The time that a study was given is over."""


@dataclass(frozen=True)
class Options:
    """How a study is run.

    Parameters
    ----------
    workspace : Path
        Keeps the results; what is done there is not done again.
    records : Path
        Folder for the record of each experiment that is done.
    page : Path or None
        The page to write.
    data_dir : Path or None
        Folder with local copies of named data sets. Nothing is downloaded.
    hours : float or None
        How long to run; by default until all is done, a quick study `QUICK_HOURS`.
    quick : bool
        Whether to run the small version.
    only : collection of str
        Names of papers; all when empty.
    jobs : int or None
        As in `recrepro run`.
    ledger_url : str or None
        Address of the ledger, if it is not in the workspace.
    """

    workspace: Path
    records: Path
    page: Path | None = None
    data_dir: Path | None = None
    hours: float | None = None
    quick: bool = False
    only: Collection[str] = ()
    jobs: int | None = None
    ledger_url: str | None = None

    @property
    def time_limit(self) -> float | None:
        """How many hours there are; None for no limit."""
        return QUICK_HOURS if self.quick and self.hours is None else self.hours


def run_study(path: Path, options: Options) -> None:
    """Run what is left of a study, and write records and page.

    Raises
    ------
    RecreproError
        If some experiments failed (the others are done, and in the page).
    """
    console = make_console()
    loaded = load_study(path)
    began = time.monotonic()
    left = []
    for stage in _wanted(loaded, options):
        why = cannot_run(loaded, stage, options)
        if why is None:
            left.append(stage)
        else:
            console.print(f"{stage.name}: left out, {why}", style="dim", soft_wrap=True)
    failed: dict[str, str] = {}
    with contextlib.suppress(TimeIsUpError), _time_limit(options.time_limit):
        while left:
            console.rule(f"{left[0].name}, {left[0].minutes:g} min", align="left")
            try:
                _run(loaded, left[0], options)
            except RecreproError as error:
                console.print(f"{left[0].name}: {error}", style="yellow", soft_wrap=True)
                failed[left[0].name] = str(error)
            del left[0]
    kept = _keep_all(loaded, options)
    _write_page(console, loaded, options)
    minutes = (time.monotonic() - began) / 60
    if left:
        names = ", ".join(stage.name for stage in left)
        console.print(f"\nThe time is up; left: {names}. The same command goes on.", soft_wrap=True)
    console.print(f"\n{kept} records in {options.records}; {minutes:.0f} minutes.")
    if failed:
        raise RecreproError(
            f"{len(failed)} experiments failed or were not finished: {', '.join(failed)}. Running "
            "the same command again goes on with them."
        )


def _wanted(loaded: Loaded, options: Options) -> list[Stage]:
    names = {paper.name for paper in loaded.study.papers}
    for name in options.only:
        if name not in names:
            raise UnknownName("paper", name, names)
    papers = [p for p in loaded.study.papers if not options.only or p.name in options.only]
    files = {stage.file for paper in papers for stage in paper.stages}
    return [stage for stage in loaded.stages() if stage.file in files]


def cannot_run(loaded: Loaded, stage: Stage, options: Options) -> str | None:
    """Say why an experiment is not run: its data or packages are not here, or it is not quick."""
    experiment = loaded.experiments[stage.file]
    for spec in experiment.datasets:
        why = unavailable(spec, options.data_dir)
        if why is not None:
            return f"the data set {spec.name!r} is not here"
    if options.quick and not loaded.is_tuned(stage) and stage.minutes > QUICK_MINUTES:
        return f"it takes {stage.minutes:g} min, which is not quick"
    try:
        with located(loaded.file(stage), experiment):
            check_names(experiment, loaded.file(stage).parent)
    except UsageError:
        raise
    except RecreproError as error:
        return str(error)
    return None


def _run(loaded: Loaded, stage: Stage, options: Options) -> None:
    file = _file(loaded, stage, options)
    run_experiment(
        file,
        options.data_dir,
        options.workspace,
        jobs=options.jobs,
        ledger_url=options.ledger_url,
    )


def _is_quick(loaded: Loaded, stage: Stage, options: Options) -> bool:
    return options.quick and loaded.is_tuned(stage)


def _file(loaded: Loaded, stage: Stage, options: Options) -> Path:
    """Return the experiment file; of a quick one, a file that is written for it."""
    if not _is_quick(loaded, stage, options):
        return loaded.file(stage)
    file = options.workspace / "study" / f"{stage.name}-quick.toml"
    quick(loaded.experiments[stage.file]).write(file)
    return file


def _keep_all(loaded: Loaded, options: Options) -> int:
    """Write the record of each experiment that is done in the workspace; return how many."""
    ledger_file = options.workspace / "ledger.db"
    if options.ledger_url is None and not ledger_file.is_file():
        return 0
    place = Workspace.existing(options.workspace, options.ledger_url)
    written = 0
    opened = Ledger.in_workspace(place.root, options.ledger_url, read_only=True)
    with contextlib.closing(opened) as ledger:
        for stage in loaded.stages():
            small = _is_quick(loaded, stage, options)
            experiment = loaded.experiments[stage.file]
            experiment = quick(experiment) if small else experiment
            record = _record(place, ledger, experiment, stage.name, small=small, study=loaded.path)
            if record is not None:
                record.write(options.records / f"{stage.name}.json")
                written += 1
    return written


def _record(
    place: Workspace, ledger: Ledger, experiment: Experiment, name: str, *, small: bool, study: Path
) -> StudyRecord | None:
    title = f"{name}-quick" if small else name
    if not ledger.members(title, experiment.grid_hash):
        return None
    results = results_in(place, ledger, experiment, title)
    command = f"recrepro study {study.name}{' --quick' if small else ''}"
    return archived(experiment, name, results, command, quick=small)


def _write_page(console: Console, loaded: Loaded, options: Options) -> None:
    if options.page is None:
        return
    text = verdict_page.render(loaded, read_records(options.records))
    with new_file(options.page) as draft:
        draft.write_text(text, encoding="utf-8")
    console.print(f"\nThe verdicts: {options.page}", soft_wrap=True)


@contextlib.contextmanager
def _time_limit(hours: float | None) -> Iterator[None]:
    """Interrupt what is being done when the time is up, in order, as Ctrl-C would."""
    if hours is None:
        yield
        return

    def interrupt(_signal: int, _frame: object) -> None:
        raise TimeIsUpError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, max(hours * 3600, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

"""The page as a whole: its sections in order, its files, and how it is written."""

import base64
import gzip
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import pandas as pd
from markupsafe import Markup

from recrepro import __version__
from recrepro.analysis.leaderboard import comparable
from recrepro.analysis.ranks import MIN_DATASETS, rank_test
from recrepro.report import answers, board, facts, searches
from recrepro.report.parts import Section, moment
from recrepro.spec.experiment import Experiment
from recrepro.store.records import Record
from recrepro.store.results import Result
from recrepro.tables import formats
from recrepro.text.templates import render as render_template
from recrepro.text.words import size

FOLDER = files("recrepro.report")

LARGE = 1_000_000
"""Bytes from which on a download is compressed, so that pages stay small."""


@dataclass(frozen=True)
class Download:
    """A file that the page carries in itself."""

    name: str
    about: str
    content: bytes

    @property
    def link(self) -> str:
        """The file as an address."""
        return f"data:application/octet-stream;base64,{base64.b64encode(self.content).decode()}"

    @property
    def size(self) -> str:
        """How large it is."""
        return size(len(self.content))


def render(experiment: Experiment, results: Sequence[Result], source: str) -> str:
    """Write the page of an experiment; equal results give the same bytes.

    Parameters
    ----------
    experiment : Experiment
        Says claim, columns and expected values.
    results : sequence of Result
        Its cells.
    source : str
        The experiment file, which the page carries.
    """
    leaderboards, expected, judged = formats.contents(experiment, results)
    found = [group for kinds in comparable(results).values() for group in kinds.values()]
    boards = [
        board.Board(f"board-{place}", table, group)
        for place, (table, group) in enumerate(zip(leaderboards, found, strict=True), 1)
    ]
    sections = [
        answers.verdict(experiment, leaderboards, judged),
        answers.expected(expected),
        *(_board_section(one, experiment) for one in boards),
        _across_datasets(boards),
        facts.provenance(results),
    ]
    csv = formats.FORMATS["csv"].write(leaderboards, expected, judged).encode()
    downloads = [
        Download("leaderboard.csv", "all tables, one line for each model and metric", csv),
        _records(results),
        Download("experiment.toml", "the file that says what was run", source.encode()),
    ]
    style, script = ((FOLDER / name).read_text("utf-8") for name in ("style.css", "table.js"))
    return render_template(
        FOLDER / "page.html.j2",
        claim=experiment.claim,
        summary=_summary(experiment, results),
        sections=[section for section in sections if section is not None],
        downloads=downloads,
        style=Markup(style),  # noqa: S704  files of this package
        script=Markup(script),  # noqa: S704
        style_hash=_hash(style),
        script_hash=_hash(script),
        version=__version__,
    )


def _hash(text: str) -> str:
    """Return what a content security policy calls an inline file."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _board_section(one: board.Board, experiment: Experiment) -> Section:
    parts = (
        board.leaderboard(one),
        board.intervals(one),
        board.costs(one),
        board.ranks(one),
        searches.histories(one),
        searches.hyperparameters(one, experiment),
        facts.audit(one),
        board.groups(one),
    )
    return Section(one.id, one.title, parts=parts, badges=board.board_badges(one.table))


def _across_datasets(boards: Sequence[board.Board]) -> Section | None:
    """Rank models over data sets, for each split that several data sets share."""
    by_split: dict[str, dict[str, board.Board]] = {}
    for one in boards:
        by_split.setdefault(one.table.split, {}).setdefault(one.table.dataset, one)
    several = {split: found for split, found in by_split.items() if len(found) > 1}
    if not several:
        return None
    parts = []
    for place, (split, found) in enumerate(several.items()):
        name = f"datasets-{place}"
        metric = next(iter(found.values())).table.metrics[0]
        means = {
            dataset: {r.model: r.means[metric] for r in one.table.rows if r.means}
            for dataset, one in found.items()
        }
        values = pd.DataFrame.from_dict(means, orient="index").dropna(axis=1)
        if len(found) < MIN_DATASETS:
            why = f"Too few data sets for a test of ranks: {len(found)}. It takes {MIN_DATASETS}."
            parts.append(Section(name, split, (why,)))
        elif (test := rank_test(values, "nemenyi")) is None:
            parts.append(Section(name, split, ("No two models have results on all of them.",)))
        else:
            why = f"Blocks are the {test.blocks} data sets; values are means of {metric}."
            chart = board.rank_chart(name, f"{split}: mean ranks over data sets", test)
            parts.append(Section(name, split, (why, *board.rank_sentences(test)), (chart,)))
    return Section("datasets", "Across data sets", parts=tuple(parts))


def _records(results: Sequence[Result]) -> Download:
    """Write records and trials, without the folder that files were read from."""
    content = [
        {
            "titles": result.name.model_dump(),
            "state": result.status.state,
            "reason": result.status.reason,
            "record": result.record and _without_base(result.record),
            "trials": [trial.to_json() for trial in result.read_trials()],
        }
        for result in results
    ]
    about = "record and trials of every cell"
    written = json.dumps(content, indent=1).encode()
    if len(written) < LARGE:
        return Download("records.json", about, written)
    return Download("records.json.gz", f"{about}, compressed", gzip.compress(written, mtime=0))


def _without_base(record: Record) -> dict[str, Any]:
    return {key: value for key, value in record.to_json().items() if key != "base"}


def _summary(experiment: Experiment, results: Sequence[Result]) -> str:
    ended = [result.record.ended_at for result in results if result.record]
    failed = sum(result.status.state == "failed" for result in results)
    counts = [
        f"{len(kind)} {name}{'' if len(kind) == 1 else 's'}"
        for kind, name in (
            (experiment.datasets, "data set"),
            (experiment.splits, "split"),
            (experiment.models, "model"),
        )
    ]
    text = f"{', '.join(counts)}; {len(ended)} of {len(results)} cells have a result"
    text += f", {failed} failed" if failed else ""
    return f"{text}; the last one of {moment(max(ended))}." if ended else f"{text}."

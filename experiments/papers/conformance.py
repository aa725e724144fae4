"""Write docs/conformance.md: what the experiments of this folder give, beside what was published.

    recrepro run experiments/papers/NAME.toml --workspace DIR
    python experiments/papers/conformance.py --workspace DIR

The first runs one of them; the second writes records/NAME.json of each that was run in DIR, and
then the page, from all records and findings.md. Without --workspace it writes the page only. A
value that is not as expected needs a `note` in its experiment file that says why, or this is an
error.
"""  # noqa: INP001

import json
from pathlib import Path
from typing import Any

import click

from recrepro.spec.experiment import load_experiment
from recrepro.store.ledger import Ledger
from recrepro.store.results import results_in
from recrepro.store.workspace import Workspace
from recrepro.study import records as kept_records

HERE = Path(__file__).parent
RECORDS = HERE.parent / "records"
PAGE = HERE.parents[1] / "docs" / "conformance.md"

INTRODUCTION = """\
# Conformance

<!-- Written by `python experiments/papers/conformance.py` from `experiments/records` and
`experiments/papers/findings.md`; a test compares. -->

Does recrepro give published numbers, where data, split and hyperparameters are published?

Each experiment in `experiments/papers` fits models with published hyperparameters on a published
split, and names the values that are expected of them. Nothing is tuned, but for the number of
epochs where a paper's own was picked on test items. "The study" is Ferrari Dacrema et al. (TOIS
2021, additional material). Where their code, run on exactly these files, gives another value than
they printed, that value is expected, and the printed one stands beside it. Ours are with seed 1, on
one machine.
"""


Record = dict[str, Any]
Value = dict[str, Any]


def record(path: Path, ledger: Ledger, workspace: Workspace) -> Record | None:
    """Return what a workspace holds of an experiment; None if it was not run there to the end."""
    experiment = load_experiment(path)
    if not ledger.members(path.stem, experiment.grid_hash):
        return None
    results = results_in(workspace, ledger, experiment, path.stem)
    command = f"recrepro run experiments/papers/{path.name}"
    return kept_records.kept(experiment, path.stem, results, command)


def read_records() -> list[Record]:
    """Return the records of the experiments in this folder, by name."""
    paths = (RECORDS / f"{path.stem}.json" for path in sorted(HERE.glob("*.toml")))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()]


def waiting(records: list[Record]) -> list[tuple[str, str]]:
    """Return name and claim of the experiments of this folder that have no record."""
    known = {r["experiment"] for r in records}
    paths = (path for path in sorted(HERE.glob("*.toml")) if path.stem not in known)
    return [(path.stem, load_experiment(path).claim) for path in paths]


def unexplained(records: list[Record]) -> list[str]:
    """Return what is not as expected and has no note."""
    return [
        f"{r['experiment']}: {v['model']} {v['metric']} is {v['verdict']}"
        for r in records
        for v in r["values"]
        if v["verdict"] != "ok" and not v["note"]
    ]


def render(records: list[Record], findings: str, not_run: list[tuple[str, str]]) -> str:
    """Return the page."""
    parts = [INTRODUCTION, "## Summary\n", _summary(records)]
    parts += ["## What is not as expected, and why\n"]
    parts += [text for r in records if (text := _misses(r))]
    parts += [findings.replace("{{profiles}}\n", _profiles(records))]
    parts += ["## Every value\n", *(_values(r) for r in records)]
    if not_run:
        lines = "".join(f"- `{name}`: {claim}\n" for name, claim in not_run)
        parts += [f"## Written, and not run to the end yet\n\n{lines}"]
    return "\n".join(parts)


def _summary(records: list[Record]) -> str:
    rows = [
        [
            f"[{r['experiment']}](#{r['experiment']})",
            f"{r['users']:,}",
            r["ranking"],
            str(len(r["models"])),
            str(len(r["values"])),
            str(sum(v["verdict"] == "ok" for v in r["values"])),
            str(sum(v["verdict"] != "ok" for v in r["values"])),
            f"{_seconds(r) / 60:.1f}",
        ]
        for r in records
    ]
    totals = [sum(int(row[i]) for row in rows) for i in (3, 4, 5, 6)]
    rows.append(["all", "", "", *map(str, totals), f"{sum(map(_seconds, records)) / 60:.1f}"])
    names = ["experiment", "users", "ranking", "models", "values", "as expected"]
    return _table([*names, "not, explained", "minutes"], rows, right=(1, 3, 4, 5, 6, 7))


def _seconds(r: Record) -> float:
    return float(sum(m["fit_s"] + m["score_s"] for m in r["models"]))


def _misses(r: Record) -> str:
    """Return the values of an experiment that are off, under what explains them."""
    reasons: dict[str, list[Value]] = {}
    for v in r["values"]:
        if v["verdict"] != "ok":
            reasons.setdefault(v["note"], []).append(v)
    parts = []
    for reason, values in reasons.items():
        rows = [
            [
                *(v["model"], v["metric"], v["source"], _digits(v["expected"]), _digits(v["got"])),
                *(_signed(v["difference"]), f"{v['tolerance']:g}"),
            ]
            for v in values
        ]
        names = ["model", "metric", "theirs from", "theirs", "ours", "difference", "tolerance"]
        parts += [f"{reason[:1].upper()}{reason[1:]}.\n", _table(names, rows, right=(3, 4, 5, 6))]
    return "\n".join([f"### In {r['experiment']}\n", *parts]) if parts else ""


def _profiles(records: list[Record]) -> str:
    """Return the models that were run with raw and with weighted histories, side by side."""
    rows = []
    for r in records:
        models = {m["model"]: m for m in r["models"]}
        for title, weighted in models.items():
            plain = models.get(title.removesuffix("-weighted"))
            if plain is None or plain is weighted:
                continue
            printed = {v["metric"]: v for v in r["values"] if v["model"] == plain["model"]}
            code = {v["metric"]: v["expected"] for v in r["values"] if v["model"] == title}
            metric = next(m for m in plain["metrics"] if m in printed)
            numbers = [
                printed[metric]["expected"],
                plain["metrics"][metric],
                code.get(metric),
                weighted["metrics"][metric],
            ]
            names = [r["experiment"], plain["model"], plain["params"]["weighting"], metric]
            rows.append([*names, *map(_digits, numbers)])
    names = ["experiment", "model", "weighting", "metric", "printed", '`profiles = "raw"`']
    names += ["study's code", '`profiles = "weighted"`']
    return _table(names, rows, right=(4, 5, 6, 7))


def _values(r: Record) -> str:
    seconds = {m["model"]: m["fit_s"] for m in r["models"]}
    sources = list(dict.fromkeys(v["source"] for v in r["values"]))
    rows = [
        [
            v["model"],
            v["metric"],
            "" if v["published"] is None else _digits(v["published"]),
            _digits(v["expected"]),
            f"[{sources.index(v['source']) + 1}]",
            _digits(v["got"]),
            _signed(v["difference"]),
            f"{v['tolerance']:g}",
            v["verdict"],
            f"{seconds[v['model']]:.1f}" if v["model"] in seconds else "",
        ]
        for v in r["values"]
    ]
    names = ["model", "metric", "printed", "expected", "from", "ours", "difference", "tolerance"]
    how = f"{r['dataset']}, {r['users']:,} users, {r['ranking']} ranking, {len(r['models'])} models"
    where = f"{r['machine']}, recrepro {r['recrepro']}, commit {r['commit']}"
    parts = [
        f"### {r['experiment']}\n",
        f"{r['claim']}.\n\n{how}. `{r['command']}`: {_seconds(r) / 60:.1f} minutes, {where}.\n",
        _table([*names, "verdict", "fit, s"], rows, right=(2, 3, 5, 6, 7, 9)),
        *(f"[{i}] {source}  " for i, source in enumerate(sources, 1)),
        "",
    ]
    return "\n".join(parts)


def _digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _signed(value: float | None) -> str:
    if value is None:
        return "-"
    text = f"{value:+.4f}"
    return text[1:] if text in ("+0.0000", "-0.0000") else text


def _table(names: list[str], rows: list[list[str]], right: tuple[int, ...]) -> str:
    marks = ["---:" if i in right else "---" for i in range(len(names))]
    lines = [" | ".join(row) for row in (names, marks, *rows)]
    return "".join(f"| {line} |\n" for line in lines)


@click.command()
@click.option("--workspace", type=click.Path(path_type=Path, file_okay=False), help="Where it ran.")
def main(workspace: Path | None) -> None:
    """Write records of what was run in a workspace, if one is named, and then the page."""
    if workspace:
        place = Workspace.existing(workspace)
        ledger = Ledger.in_workspace(place.root)
        for path in sorted(HERE.glob("*.toml")):
            found = record(path, ledger, place)
            if found is None:
                click.echo(f"{path.stem}: not run in {workspace}, or not to the end; left as it is")
                continue
            kept_records.write(RECORDS / f"{path.stem}.json", found)
        ledger.close()
    records = read_records()
    missing = unexplained(records)
    if missing:
        raise click.ClickException("a note has to say why:\n" + "\n".join(missing))
    findings = (HERE / "findings.md").read_text(encoding="utf-8")
    PAGE.write_text(render(records, findings, waiting(records)), encoding="utf-8")


if __name__ == "__main__":
    main()

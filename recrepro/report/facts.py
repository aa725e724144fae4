"""What stands behind the numbers: audits of the splits, and where and when each cell was run."""

from collections.abc import Sequence

from recrepro.charts import figures as charts
from recrepro.report.board import Board
from recrepro.report.parts import Chart, Section, Table, TableCell, columns, moment, number, seconds
from recrepro.store.records import Provenance, RecordedAudit, SplitFacts
from recrepro.store.results import Result
from recrepro.text.words import size

KINDS = {"clean": "good", "suspicious": "warn", "leaking": "bad", "note": "plain"}
MEASURES = {
    "gini": "inequality (Gini)",
    "kendall": "rank correlation with all",
    "distance": "distance from random",
}


def audit(board: Board) -> Section:
    """Return sizes, findings and the picture of the splits of a table, one for each repeat."""
    section, title = f"{board.id}-audit", "Audit of the split"
    splits = _distinct_splits(board)
    if not splits:
        return Section(section, title, ("No cell has a result yet.",))
    sizes, findings, items = [], [], []
    for place, (repeat, split) in enumerate(splits.items()):
        found, verdict = split.audit, split.audit.verdict
        dropped = {k: n for k, n in split.dropped.items() if n}
        sizes.append(
            (
                TableCell(repeat),
                TableCell("", badges=((KINDS[verdict], found.words),)),
                number(split.users, ","),
                number(split.items, ","),
                *(
                    number(split.parts[part].interactions, ",")
                    for part in ("train", "validation", "test")
                ),
                TableCell(
                    ", ".join(f"{n:,} {k.replace('_', ' ')}" for k, n in dropped.items()) or "-"
                ),
            )
        )
        findings += [
            (
                TableCell(repeat),
                TableCell("", badges=((KINDS[f.severity], f.severity),)),
                number(f.users, ","),
                number(f.interactions, ","),
                TableCell(f.message),
            )
            for f in found.findings
        ]
        if place == 0:
            items += _picture(f"{section}-svg", repeat, found)
    parts = ["users", "items", "train", "validation", "test"]
    head = (*columns(["repeat", "verdict"], parts), *columns(["left out"]))
    caption = "Users, items, and interactions of each part"
    tables = [Table(f"{section}-sizes", caption, head, tuple(sizes))]
    head = (*columns(["repeat", "weight"], ["users", "interactions"]), *columns(["finding"]))
    if findings:
        tables.append(Table(f"{section}-findings", "Findings", head, tuple(findings)))
    why = "Leaking and suspicious findings make the verdict; notes are what a reader should know."
    return Section(section, title, (why,), (*tables, *items))


def _distinct_splits(board: Board) -> dict[str, SplitFacts]:
    splits: dict[str, SplitFacts] = {}
    for result in board.results:
        if result.record:
            splits.setdefault(result.name.repeat, result.record.split)
    return splits


def _picture(name: str, repeat: str, found: RecordedAudit) -> list[Chart]:
    """Draw the popularity of items in the parts of a split."""
    popularity = found.popularity
    rows = []
    for key, title in MEASURES.items():
        values: dict[str, float | None] = {
            part: popularity[part].get(key) for part in ("train", "test", "random")
        }
        values["test"] = popularity.get("distance") if key == "distance" else values.get("test")
        if known := {part: v for part, v in values.items() if v is not None}:
            rows.append((title, known))
    if not rows:  # as in records that were made without them
        return []
    cells = tuple(
        (TableCell(title), *(number(values.get(part)) for part in ("train", "test", "random")))
        for title, values in rows
    )
    head = columns(["measure"], ["train", "test", "test, if it were random"])
    table = Table(f"{name}-table", "Popularity of items", head, cells, folded="Numbers")
    drawn = charts.popularity(name, rows, found.words)
    return [Chart(f"Popularity of items in train and test, {repeat}", drawn, table)]


def provenance(results: Sequence[Result]) -> Section:
    """Return each cell with its times, memory and hashes, and the environments they ran in."""
    environments: list[Provenance] = []
    rows = []
    for result in results:
        record = result.record
        if record is None:
            continue
        if record.provenance not in environments:
            environments.append(record.provenance)
        number_of = environments.index(record.provenance) + 1
        laps = record.times
        openings = ", ".join(opening.reason for opening in result.status.openings)
        memory = record.peak_memory_bytes
        rows.append(
            (
                TableCell(result.name.model),
                TableCell(f"{result.name.dataset} · {result.name.split}"),
                TableCell(result.name.repeat, float(result.name.seed)),
                *(
                    seconds(laps[lap].wall_s if lap in laps else None)
                    for lap in ("tune", "fit", "score")
                ),
                TableCell(size(memory), memory),
                TableCell(moment(record.ended_at), record.ended_at),
                TableCell(openings or "-"),
                TableCell(record.cell[:12]),
                TableCell(record.result_digest[:12]),
                TableCell(str(number_of), number_of),
            )
        )
    cells = Table(
        "provenance-cells",
        "Cells: a data set, split, seed and model each",
        (
            *columns(["model", "table", "repeat"], ["tuning", "fit", "scoring", "peak memory"]),
            *columns(["done", "test opened", "cell", "result", "environment"]),
        ),
        tuple(rows),
        notes=("Hashes are the first 12 characters of SHA-256; records.json has all of them.",),
        tools=True,
        folded=f"{len(rows)} cells" if len(rows) > 20 else "",
    )
    tables = [_environment(place, where) for place, where in enumerate(environments, start=1)]
    return Section("provenance", "Provenance", items=(cells, *tables))


def _environment(place: int, where: Provenance) -> Table:
    commit = where.code.commit or "an installed package, no checkout"
    changed = ", with changes that are not committed" if where.code.dirty else ""
    facts = {
        "recrepro": where.recrepro,
        "commit": f"{commit}{changed}",
        "Python": where.python,
        "packages": ", ".join(f"{k} {v}" for k, v in where.packages.items()),
        "system": where.system,
        "processor": where.processor,
        "cores": where.cores,
        "memory": size(where.memory_bytes),
        "threads": ", ".join(f"{p['internal_api']} {p['num_threads']}" for p in where.thread_pools),
    }
    rows = tuple((TableCell(k), TableCell(str(v))) for k, v in facts.items() if v not in (None, ""))
    return Table(f"environment-{place}", f"Environment {place}", columns(["what", "value"]), rows)

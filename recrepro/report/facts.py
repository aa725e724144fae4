"""What stands behind the numbers: audits of the splits, and where and when each cell was run."""

from collections.abc import Sequence
from typing import Any

from recrepro.charts import figures as charts
from recrepro.report.board import Board
from recrepro.report.parts import Chart, Section, Table, TableCell, columns, moment, number, seconds
from recrepro.spec.canonical import canonical_json
from recrepro.store.results import Result

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
        found, verdict = split["audit"], split["audit"]["verdict"]
        dropped = {k: n for k, n in split.get("dropped", {}).items() if n}
        sizes.append(
            (
                TableCell(repeat),
                TableCell("", badges=((KINDS[verdict], verdict),)),
                number(split.get("users"), ","),
                number(split.get("items"), ","),
                *(
                    number(split["parts"].get(part, {}).get("interactions"), ",")
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
                TableCell("", badges=((KINDS.get(f["severity"], "bad"), f["severity"]),)),
                number(f.get("users"), ","),
                number(f.get("interactions"), ","),
                TableCell(f["message"]),
            )
            for f in found["findings"]
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


def _distinct_splits(board: Board) -> dict[str, dict[str, Any]]:
    splits: dict[str, dict[str, Any]] = {}
    for result in board.results:
        if result.record:
            splits.setdefault(_repeat(result.titles), result.record["split"])
    return splits


def _repeat(titles: dict[str, Any]) -> str:
    fold = f", fold {titles['fold']}" if titles.get("fold") else ""
    return f"seed {titles.get('seed', '-')}{fold}"


def _picture(name: str, repeat: str, found: dict[str, Any]) -> list[Chart]:
    """Draw the popularity of items that the record keeps; old records have none."""
    popularity = found.get("popularity")
    if not popularity:
        return []
    rows = []
    for key, title in MEASURES.items():
        values = {
            part: popularity[part].get(key)
            for part in ("train", "test", "random")
            if part in popularity
        }
        values["test"] = popularity.get("distance") if key == "distance" else values.get("test")
        values = {part: value for part, value in values.items() if value is not None}
        if values:
            rows.append((title, values))
    cells = tuple(
        (TableCell(title), *(number(values.get(part)) for part in ("train", "test", "random")))
        for title, values in rows
    )
    head = columns(["measure"], ["train", "test", "test, if it were random"])
    table = Table(f"{name}-table", "Popularity of items", head, cells, folded="Numbers")
    drawn = charts.popularity(name, rows, found["verdict"])
    return [Chart(f"Popularity of items in train and test, {repeat}", drawn, table)]


def provenance(results: Sequence[Result]) -> Section:
    """Return each cell with its times, memory and hashes, and the environments they ran in."""
    environments: dict[str, tuple[int, dict[str, Any]]] = {}
    rows = []
    for result in results:
        record = result.record
        if record is None:
            continue
        where = record.get("provenance", {})
        number_of, _ = environments.setdefault(
            canonical_json(where), (len(environments) + 1, where)
        )
        laps = record["times"]
        openings = ", ".join(opening.reason for opening in result.status.openings)
        memory = record.get("peak_memory_bytes")
        rows.append(
            (
                TableCell(result.titles["model"]),
                TableCell(f"{result.titles['dataset']} · {result.titles['split']}"),
                TableCell(_repeat(result.titles), float(result.titles.get("seed", 0))),
                *(seconds(laps.get(lap, {}).get("wall_s")) for lap in ("tune", "fit", "score")),
                TableCell("-")
                if memory is None
                else TableCell(f"{memory / 2**20:,.0f} MiB", memory),
                TableCell(moment(record["ended_at"]), record["ended_at"]),
                TableCell(openings or "-"),
                TableCell(record["cell"][:12]),
                TableCell(record["result_digest"][:12]),
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
    tables = [_environment(place, where) for place, where in environments.values()]
    return Section("provenance", "Provenance", items=(cells, *tables))


def _environment(place: int, where: dict[str, Any]) -> Table:
    code = where.get("code") or {}
    commit = code.get("commit") or "an installed package, no checkout"
    changed = ", with changes that are not committed" if code.get("dirty") else ""
    packages = ", ".join(f"{k} {v}" for k, v in where.get("packages", {}).items())
    threads = ", ".join(
        f"{pool.get('internal_api')} {pool.get('num_threads')}"
        for pool in where.get("thread_pools", ())
    )
    memory = where.get("memory_bytes")
    facts = {
        "recrepro": where.get("recrepro"),
        "commit": f"{commit}{changed}",
        "Python": where.get("python"),
        "packages": packages,
        "system": where.get("system"),
        "processor": where.get("processor"),
        "cores": where.get("cores"),
        "memory": None if memory is None else f"{memory / 2**30:.1f} GiB",
        "threads": threads,
    }
    rows = tuple((TableCell(k), TableCell(str(v))) for k, v in facts.items() if v not in (None, ""))
    return Table(f"environment-{place}", f"Environment {place}", columns(["what", "value"]), rows)

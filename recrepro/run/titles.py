"""Short names of an experiment's cells, and the cells that are asked for by name."""

from collections.abc import Iterable, Mapping, Sequence

from recrepro.errors import UnknownName, UsageError
from recrepro.run.plan import Cell
from recrepro.store.names import CellNames
from recrepro.store.schema import CellState


def short_titles(cells: Sequence[Cell]) -> dict[str, str]:
    """Name cells on the screen, by key: the model, and of the rest what differs between cells."""
    parts = [
        {
            "dataset": cell.name.dataset,
            "split": cell.name.split,
            "model": cell.name.model,
            "seed": f"seed {cell.name.seed}",
            "fold": "" if cell.name.fold is None else f"fold {cell.name.fold}",
            "fit": "" if cell.name.fit is None else f"fit {cell.name.fit}",
        }
        for cell in cells
    ]
    shown = [k for k in (parts[0] if parts else ()) if len({p[k] for p in parts}) > 1]
    shown = shown if "model" in shown else [*shown, "model"]
    return {
        cell.key: " / ".join(part[k] for k in shown if part[k])
        for cell, part in zip(cells, parts, strict=True)
    }


def cells_to_reopen(
    names: Iterable[str], cells: list[Cell], states: Mapping[str, CellState]
) -> list[str]:
    """Return the keys of the cells whose test part is asked for again by name.

    Parameters
    ----------
    names : iterable of str
        Each the title of a model (all its cells), ``dataset/split/model``, which may go on with
        ``/seed N``, ``/fold N`` and ``/fit N``, a cell as the progress lines name it, or the first
        8 or more characters of a key.
    cells : list of Cell
        Those of the experiment.
    states : mapping of str to str
        What the ledger says of them, by key.

    Raises
    ------
    UsageError
        If a name fits no cell, or a cell without a result.
    """
    titles = short_titles(cells)
    known = CellNames(cell.member for cell in cells)
    for cell in cells:
        known.add(cell.model.title, cell.key)
        known.add(titles[cell.key], cell.key)
    wanted: set[str] = set()
    for name in names:
        found = known.find(name)
        if not found:
            models = {cell.model.title for cell in cells}
            example = cells[-1].name.path
            hint = f"Or one cell, such as {example!r}, or 8 or more characters of its key."
            raise UnknownName("model or cell to reopen", name, models, hint)
        left = [
            titles[cell.key] for cell in cells if cell.key in found and states[cell.key] != "done"
        ]
        if left:
            raise UsageError(
                f"--reopen {name!r}: {', '.join(left)} has no result yet, so its test part can be "
                "opened without being asked for by name. Run the experiment without --reopen first."
            )
        wanted |= found
    return [cell.key for cell in cells if cell.key in wanted]

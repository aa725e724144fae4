"""What has to be there before a verdict may be more than "not enough evidence"."""

import functools
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from importlib.resources import files

from recrepro.analysis.leaderboard import worst_state
from recrepro.analysis.notes import worst_audit
from recrepro.model import Information
from recrepro.spec.identity import Plain
from recrepro.store.records import FEWEST_TRIALS, Record
from recrepro.text.words import count

FEWEST_SEEDS = 3
"""Seeds of the final fit that a verdict needs, of models that depend on one."""


class Gate(Plain):
    """A published method whose re-implementation met the values that its paper prints.

    Parameters
    ----------
    model, version : str, int
        The re-implementation.
    paper : str
        Where the values are printed.
    record, sha256 : str
        The archived record in which they were met, and its hash.
    tolerance : float
        Largest difference that counts as met.
    """

    model: str
    version: int
    paper: str
    record: str
    sha256: str
    tolerance: float


@functools.cache
def gates() -> tuple[Gate, ...]:
    """Return the table of gates that comes with recrepro."""
    text = files("recrepro.analysis").joinpath("gates.toml").read_text(encoding="utf-8")
    return tuple(Gate.model_validate(row) for row in tomllib.loads(text)["gates"])


def used(records: Iterable[Record]) -> set[Information]:
    """Return what a model learned from, beside who interacted with what; times imply the order."""
    found: set[Information] = {kind for record in records for kind in record.model.uses}
    return found | {"order"} if "times" in found else found


def peers(
    baselines: Mapping[str, Sequence[Record]], judged: Sequence[Record]
) -> dict[str, Sequence[Record]]:
    """Return the baselines that use at least what a model uses, by title."""
    needed = used(judged)
    return {title: found for title, found in baselines.items() if needed <= used(found)}


def missing_of_model(records: Sequence[Record], what: str) -> Iterator[str]:
    """Say what is missing of the results of one model.

    Parameters
    ----------
    records : sequence of Record
        Its results in a table: seeds, folds and fits.
    what : str
        How to call it in a sentence.
    """
    state = worst_state(records)
    tuning = min((r.tuning.complete for r in records if r.tuning), default=0)
    if state == "external":
        yield f"{what} was scored from a run file: nobody knows how it was tuned"
    elif state == "fixed":
        yield f"{what} has fixed hyperparameters, none was searched"
    elif state == "untuned":
        yield f"{what} is untuned: {count(tuning, 'complete trial')} is no search"
    elif state == "searched":
        yield f"{what} has {tuning} complete trials, of {FEWEST_TRIALS} at least"
    if state != "external" and not all(record.model.deterministic for record in records):
        n_seeds = len({(r.name.seed, r.name.fold, r.name.fit) for r in records})
        if n_seeds < FEWEST_SEEDS:
            yield (
                f"{what} has {count(n_seeds, 'seed')} of the final fit, of {FEWEST_SEEDS} at least "
                "(evaluate.fits)"
            )


def missing_of_gate(records: Sequence[Record]) -> Iterator[str]:
    """Say whether the re-implementation of a published method has not shown that it is one."""
    model = records[0].model
    if model.family != "neural":
        return
    known = {(gate.model, gate.version) for gate in gates()}
    if (model.name, model.version) not in known:
        yield (
            f"the re-implementation of {model.name} has not met the values that its paper prints"
        )


def missing_of_split(records: Sequence[Record]) -> Iterator[str]:
    """Say whether the audit of a table's split speaks against a verdict."""
    audit = worst_audit(records)
    if audit.verdict != "clean":
        yield f"the audit calls the split {audit.verdict}"


def missing_of_pool(
    judged: Sequence[Record], baselines: Collection[str], pool: Collection[str]
) -> Iterator[str]:
    """Say whether no baseline uses what a model uses."""
    if not baselines:
        yield "there is no baseline in the table"
    elif not pool:
        needed = " and ".join(sorted(used(judged)))
        yield f"no baseline in the table uses {needed}"

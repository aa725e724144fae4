"""What held-out items are ranked against: what an experiment says of it, checked and hashed."""

from pathlib import Path
from typing import Any

from recrepro.data.dataset import Dataset
from recrepro.data.formats.files import check_text, read_bytes
from recrepro.errors import UsageError
from recrepro.evaluation.definitions import parse_metric
from recrepro.spec.canonical import canonical_hash
from recrepro.spec.experiment import Experiment
from recrepro.splits.draw import ResolvedCandidates


def read_labels(path: Path) -> list[str]:
    """Read a list of items, one label a line.

    Raises
    ------
    UsageError
        If the file is not there, or holds nothing.
    DataError
        If it is no UTF-8 text.
    """
    raw = read_bytes(path)
    if not raw.strip():
        raise UsageError(f"the list of items {path} is empty; it should have one label a line.")
    labels = check_text(raw, str(path)).decode().split("\n")
    return sorted({label.strip() for label in labels} - {""})


def ranking_identity(experiment: Experiment, items: str | list[str]) -> dict[str, Any]:
    """Return what decides, beside the split, what held-out items are ranked against."""
    digest = items
    if isinstance(items, list):
        digest = canonical_hash(items)
    # Later options are written only if they are not the usual ones, as identities have them.
    written = experiment.evaluate.model_dump(mode="json", include={"outside", "seen", "validation"})
    return {"items": digest, **written}


def check_items(items: str | list[str], dataset: Dataset, path: str | None) -> None:
    """Refuse a list of items that are not those of a data set."""
    if isinstance(items, str):
        return
    unknown = sorted(set(items) - set(map(str, dataset.interactions.item_ids.tolist())))
    if unknown:
        raise UsageError(
            f"evaluate.item_file {path!r} lists {len(unknown)} of {len(items)} items that the data "
            f"set {dataset.name!r} does not have, first {unknown[0]!r}. Take them out; labels are "
            "those of the data."
        )


def check_metrics(experiment: Experiment, candidates: ResolvedCandidates, where: str) -> None:
    """Refuse metrics that the kind of ranking, or the data, cannot give."""
    for name in experiment.evaluate.metrics:
        definition = parse_metric(name).definition
        plain = name.replace(f"[{name.partition('[')[2].partition(']')[0]}]", "")
        if definition.kind == "corrected" and candidates == "full":
            raise UsageError(
                f"the metric {name!r} estimates full ranking from sampled negatives, and {where} "
                f"is ranked in full: use {plain!r}."
            )
        if definition.kind == "corrected" and experiment.evaluate.sampling != "uniform":
            raise UsageError(
                f"the metric {name!r} needs negatives that are drawn uniformly; 'sampling' is "
                f"{experiment.evaluate.sampling!r}."
            )
        if definition.needs_features:
            raise UsageError(
                f"the metric {name!r} needs features of the items, and {where} has none: use "
                f"{plain!r}."
            )

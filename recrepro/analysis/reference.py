"""The model that others are compared with: the best on validation."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from recrepro.store.records import Record
from recrepro.store.results import Result


def records_of(results: Iterable[Result]) -> dict[str, list[Record]]:
    """Return the records of each model, in the order of the results."""
    models: dict[str, list[Record]] = {}
    for result in results:
        if result.record:
            models.setdefault(result.name.model, []).append(result.record)
    return models


def best_on_validation(models: Mapping[str, Sequence[Record]]) -> tuple[str, float] | None:
    """Choose the best of the models that were measured on validation, without a look at test.

    Parameters
    ----------
    models : mapping of str to sequence of Record
        Records of each model.

    Returns
    -------
    model : str
        The one whose best trials have the highest mean value on validation.
    value : float
        That mean.

    None if no model was searched for hyperparameters.
    """
    values = {
        model: fmean(found)
        for model, records in models.items()
        if len(found := _validation(records)) == len(records)
    }
    if not any(models[model][0].model.status == "tuned" for model in values):
        return None
    best = max(values, key=lambda model: values[model])
    return best, values[best]


def _validation(records: Sequence[Record]) -> list[float]:
    """Return the validation values of the best trials, of records that have some."""
    best = (record.tuning.best.value for record in records if record.tuning)
    return [value for value in best if value is not None]

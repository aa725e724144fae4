"""All checks of the audit, side by side, and what runs them."""

from collections.abc import Mapping, Sequence
from typing import Any

from scipy.sparse import csr_array

from recrepro.features import Features
from recrepro.interactions import Interactions
from recrepro.spec.experiment import Promise
from recrepro.splits.audit import counts, encoded, negatives, order, pairs, preflight, ties, twins
from recrepro.splits.audit.findings import Audit, Finding
from recrepro.splits.audit.material import Check, Material
from recrepro.splits.base import Order

CHECKS: dict[str, Check] = {
    "shared pairs": pairs.shared_pairs,
    "seen users": pairs.seen_users,
    "cold users and items": pairs.cold,
    "filters before the split": pairs.learned_before,
    "promised times": order.times_there,
    "own future": order.own_future,
    "mixed order": order.mixed_order,
    "broken cut": order.broken_cut,
    "others' future": order.others_future,
    "items from the future": order.future_items,
    "cut baskets": ties.cut_baskets,
    "order of item numbers": ties.item_numbers,
    "popularity": counts.odd_popularity,
    "promised popularity": counts.promised_popularity,
    "reduced catalogue": counts.reduced_catalogue,
    "twin items": twins.twin_items,
    "twin users": twins.twin_users,
    "values": encoded.values,
    "features": encoded.features,
    "wrong negatives": negatives.wrong_negatives,
    "easy negatives": negatives.easy_negatives,
    "preflight": preflight.preflight,
}
"""Every check by name; docs/audit.md explains them."""


def audit_split(
    train: Interactions,
    test: Interactions,
    *,
    validation: Interactions | None = None,
    known: Interactions | None = None,
    shown: Interactions | None = None,
    negatives: csr_array | None = None,
    features: Features | None = None,
    promise: Promise | None = None,
    order: Order | None = None,
    unseen_users: bool = False,
    preprocessing: Sequence[Mapping[str, Any]] = (),
    dropped: Mapping[str, int] | None = None,
    validation_shown: Interactions | None = None,
    validation_negatives: csr_array | None = None,
    seed: int = 0,
) -> Audit:
    """Audit a split.

    Parameters
    ----------
    train, test, validation : Interactions
        The parts; they share their labels. `train` is without `validation`.
    known : Interactions, optional
        What the final model is fitted on; by default train and validation together.
    shown : Interactions, optional
        What models are shown of test users whom they are not fitted on.
    negatives : csr_array, shape (n_users, n_items), optional
        How often each sampled negative is listed for one test item of the user.
    features : Features, optional
        Side information that models may use, aligned to the labels of the parts.
    promise : {"random", "temporal", "repeat", "random-exposure", "long-tail"}, optional
        What the split is said to be; by default it is taken for what it looks like.
    order : {"none", "user", "global"}, optional
        What the strategy that drew it keeps to in time, if that is known.
    unseen_users : bool
        Whether it promises that no test user is in train.
    preprocessing : sequence of mapping
        As in `recrepro.data.Dataset`.
    dropped : mapping of str to int, optional
        Held-out interactions that the split has left out, by reason.
    validation_shown, validation_negatives
        As `shown` and `negatives`, for the validation part.
    seed : int
        Of the random splits that popularity is compared with, and of hash functions.

    Returns
    -------
    Audit
    """
    if known is None:
        known = train if validation is None else train.union(validation)
    split = Material(
        train=train,
        test=test,
        validation=validation,
        known=known,
        shown=shown,
        negatives=negatives,
        features=features or Features(),
        order=order,
        promise=promise,
        unseen_users=unseen_users,
        preprocessing=preprocessing,
        dropped=dropped or {},
        validation_shown=validation_shown,
        validation_negatives=validation_negatives,
        seed=seed,
    )
    found: list[Finding] = []
    made: list[str] = []
    for name, check in CHECKS.items():
        findings = check(split)
        if findings is not None:
            made.append(name)
            found += findings
    weights = ("leaking", "suspicious", "note")
    return Audit(
        tuple(sorted(found, key=lambda f: weights.index(f.severity))),
        tuple(made),
        promise,
        split.features.fingerprints,
        split.popularity,
    )

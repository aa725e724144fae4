"""Identical, within tolerance, different."""

import io

import numpy as np
import pandas as pd
import pytest
from support.results import make_record, merged

from recrepro.errors import RecreproError
from recrepro.reproduce.agreement import compare_results

USERS = [0.1, 0.2, 0.6]


def result(values=USERS, *, cell="c", digest="d", params=None, mean=None):
    changes = {
        "cell": cell,
        "result_digest": digest,
        "metrics": {"m": float(np.mean(values)) if mean is None else mean},
        "model": {"params": params or {}},
    }
    return make_record(changes=changes)


def table(values=USERS, users="abc"):
    buffer = io.BytesIO()
    pd.DataFrame({"user": list(users), "m": values}).to_parquet(buffer)
    return buffer.getvalue()


def verdict(values, tolerance=0.01, users="abc", **changes):
    now = result(values, **changes)
    return compare_results(result(), table(), now, table(values, users), tolerance).verdict


def test_equal_bits_are_identical_and_the_last_bit_counts():
    assert verdict(USERS, 0.0) == "identical"
    last = [0.1, float(np.nextafter(0.2, 1.0)), 0.6]
    assert verdict(last, 0.0, digest="e") == "different"
    assert verdict(last, digest="e") == "within tolerance"


def test_users_that_differ_though_means_agree_are_seen():
    swapped = [0.6, 0.2, 0.1]
    assert verdict(swapped, digest="e", mean=result().metrics["m"]) == "different"


def test_other_users_are_different():
    assert verdict(USERS, 1.0, users="abd") == "different"


def test_large_values_are_compared_relatively():
    one, other = result([1000.0] * 3), result([1000.5] * 3, digest="e")
    found = compare_results(one, table([1000.0] * 3), other, table([1000.5] * 3), 0.001)
    assert found.verdict == "within tolerance"
    assert (found.metrics[0].users, found.metrics[0].largest) == (3, 0.5)


def test_other_hyperparameters_are_different_unless_they_were_searched_for_again():
    one, other = result(), result(params={"l2": 1.0})
    for again, expected in ((False, "different"), (True, "within tolerance")):
        found = compare_results(one, table(), other, table(), 0.01, retuned=again)
        assert found.verdict == expected
        assert "hyperparameters: recorded {}, now {'l2': 1.0}" in found.notes


def test_a_record_whose_model_is_not_that_of_its_search_is_different():
    changes = {"tuning": {"best": {"params": {"l2": 2.0}}}}
    record = make_record(changes=merged(result(params={"l2": 1.0}).to_json(), changes))
    found = compare_results(record, table(), record, table(), 0.01)
    assert found.verdict == "different"
    assert any("another l2 than its best trial" in note for note in found.notes)


def test_not_a_number_is_different_from_a_number():
    assert verdict([0.1, 0.2, float("nan")], digest="e") == "different"


@pytest.mark.parametrize(
    ("cell", "digest", "expected", "said"),
    [
        ("c", "d", "identical", "came without per-user values"),
        ("c", "e", "within tolerance", "the digest of the result differs"),
        ("other", "e", "within tolerance", "the digests cannot be compared"),
    ],
)
def test_without_per_user_values_the_digest_decides(cell, digest, expected, said):
    now = result(cell=cell, digest=digest)
    found = compare_results(result(), None, now, table(), 0.01)
    assert found.verdict == expected
    assert any(said in note for note in found.notes)


def test_a_damaged_table_is_an_error():
    with pytest.raises(RecreproError, match="per-user values of the record cannot be read"):
        compare_results(result(), b"no Parquet", result(), table(), 0.01)

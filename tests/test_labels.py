"""Labels of any length and with any character: told apart, stored, and hashed as before."""

import hashlib
import io
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recrepro.data.formats.parse import parse_frame
from recrepro.data.formats.read import build_interactions
from recrepro.errors import DataError
from recrepro.evaluation.rankings import Evaluation
from recrepro.features import Features, FeatureSet
from recrepro.interactions import Interactions
from recrepro.labels import as_ids, as_text, joined, packed, places, to_pandas, unpacked
from recrepro.run.outcome import per_user_table

ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@given(st.lists(ANY))
def test_text_is_held_and_stored_as_it_is(texts):
    labels = as_text(texts)
    assert labels.tolist() == texts
    buffer = io.BytesIO()
    np.savez(buffer, **packed("x", labels))
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as stored:
        arrays = dict(stored)
    assert unpacked("x", arrays).tolist() == texts
    assert to_pandas(labels).tolist() == texts


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_numbers_are_stored_as_they_are(numbers):
    labels = as_ids(pd.Series(list(map(str, numbers)), dtype=str))
    assert labels.dtype == np.int64
    assert unpacked("x", packed("x", labels)).tolist() == numbers


@given(st.lists(ANY, unique=True, min_size=1))
def test_labels_are_sorted_by_code_points_and_each_is_one(texts):
    frame = pd.DataFrame({"user": pd.Series([f"u{t}" for t in texts], dtype=object), "item": 1})
    made = Interactions.from_frame(frame)
    assert made.user_ids.tolist() == sorted(f"u{t}" for t in texts)
    assert len(made) == len(texts)


def fingerprint_by_hand(made):
    """As it was when text had a fixed width."""
    digest = hashlib.sha256()
    for name in ("users", "items", "values"):
        array = getattr(made, name)
        digest.update(f"{name}:{array.dtype.kind}:{len(array)};".encode() + array.tobytes())
    for name in ("user_ids", "item_ids"):
        labels = np.array(getattr(made, name).tolist(), str)
        digest.update(f"{name}:U:{len(labels)};".encode() + "\x00".join(labels.tolist()).encode())
    return digest.hexdigest()


WORD = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5)


@given(st.lists(st.tuples(WORD, WORD), min_size=1))
def test_fingerprints_are_those_of_text_of_a_fixed_width(rows):
    frame = pd.DataFrame([("u" + u, "i" + i) for u, i in rows], columns=["user", "item"])
    made = Interactions.from_frame(frame)
    assert made.fingerprint == fingerprint_by_hand(made)


NULS = st.text("a\x00", max_size=3)


@given(st.lists(st.tuples(NULS, NULS)))
def test_different_labels_are_different_bytes(pairs):
    one, other = ([pair[n] for pair in pairs] for n in range(2))
    assert (joined(as_text(one)) == joined(as_text(other))) == (one == other)


def test_a_nul_at_the_end_makes_another_user():
    text = "user,item\nann,x\nann\x00,x\nann\x00b,y\n"
    made = build_interactions(parse_frame(text.encode(), "log", "csv"), "log")
    assert made.user_ids.tolist() == ["ann", "ann\x00", "ann\x00b"]
    assert made.user_counts.tolist() == [1, 1, 1]
    json = b'{"user": "ann", "item": "x"}\n{"user": "ann\\u0000", "item": "x"}\n'
    assert build_interactions(parse_frame(json, "log", "jsonl"), "log").n_users == 2
    frame = pd.DataFrame({"user": pd.Series(["ann", "ann\x00"], dtype=object), "item": 1})
    assert Interactions.from_frame(frame).n_users == 2


def test_one_long_label_takes_its_own_memory_only():
    def peak(length):
        rows = "".join(f"u{n % 50},i{n}\n" for n in range(20_000))
        text = f"user,item\n{rows}u1,{'x' * length}\n".encode()
        tracemalloc.start()
        made = build_interactions(parse_frame(text, "log", "csv"), "log")
        _ = made.fingerprint, packed("x", made.item_ids)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(made.item_ids.tolist()[-1]) == length
        return most

    peak(10)
    # Of a fixed width, each of 20,000 labels would take 80,000 bytes.
    assert peak(20_000) < peak(10) + 10_000_000


def test_features_keep_labels_of_any_kind(tmp_path):
    ids = as_text(["a", "a\x00", "b" * 5_000])
    one = FeatureSet(
        "item", "f", ids, csr_array(np.eye(3, dtype=np.float32)), as_text(["x", "y", "z"])
    )
    features = Features((one,))
    features.store(tmp_path / "f")
    (back,) = Features.stored(tmp_path / "f").sets
    assert back.ids.tolist() == ids.tolist()
    assert back.fingerprint == one.fingerprint
    aligned = one.aligned(as_text(["a\x00", "c", "a"]))
    assert aligned.matrix.toarray().tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]
    assert one.aligned(np.array(["a"])).matrix.toarray().tolist() == [[1, 0, 0]]


def test_a_part_with_text_is_refused_where_all_labels_are_numbers():
    frame = pd.DataFrame({"user": ["1", "x"], "item": [1, 2]})
    with pytest.raises(DataError, match="'user' has the unknown label 'x'"):
        Interactions.from_frame(frame, user_ids=np.array([1, 2]))


def test_values_of_users_are_written_as_before():
    train = build_interactions(parse_frame(b"user,item\nann,x\nbob,x\n", "l", "csv"), "l")
    made = per_user_table(Evaluation(np.arange(2), {"m": np.array([0.5, 1])}), train.user_ids)
    buffer = io.BytesIO()
    pd.DataFrame({"user": np.array(["ann", "bob"]), "m": [0.5, 1]}).to_parquet(buffer, index=False)
    assert made == buffer.getvalue()


@given(st.lists(ANY.map(lambda t: t * 9), unique=True), st.lists(ANY.map(lambda t: t * 9)))
def test_places_are_those_of_a_list(texts, wanted):
    wanted += texts[::2]
    expected = [texts.index(one) if one in texts else -1 for one in wanted]
    assert places(as_text(texts), as_text(wanted)).tolist() == expected
    assert places(np.array([7, 5]), as_text(["5", "05", "7"])).tolist() == [1, -1, 0]
    assert places(as_text(["5", "07"]), np.array([7, 5])).tolist() == [-1, 0]


def test_long_labels_of_a_part_are_found_among_those_of_the_whole():
    texts = [f"https://example.org/a/long/label/{n:03}" for n in range(200)]
    whole = Interactions.from_frame(pd.DataFrame({"user": texts, "item": texts}))
    some = texts[::-3]
    part = Interactions.from_frame(
        pd.DataFrame({"user": some, "item": some}),
        user_ids=whole.user_ids,
        item_ids=whole.item_ids,
    )
    assert [part.user_ids.tolist()[u] for u in part.users] == sorted(some)

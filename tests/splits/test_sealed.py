"""The stored split: whole or absent, and its test part under a seal."""

import hashlib
import os
import threading
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recrepro import durable
from recrepro.errors import SealError
from recrepro.evaluation.definitions import parse_metric
from recrepro.evaluation.evaluator import Evaluator
from recrepro.interactions import Interactions
from recrepro.model import ModelConfig, Recommender
from recrepro.spec.experiment import ModelSpec, TuneSpec
from recrepro.splits import keys, sealed
from recrepro.splits.base import Parts
from recrepro.splits.keys import SplitKeys, data_secret, read_locked
from recrepro.splits.numbers import SecretNumbers
from recrepro.splits.sealed import FILES, SEALED, SealedTest, StoredSplit, TuningView, describe
from recrepro.tuning.tuner import Tuner


@pytest.fixture(scope="module")
def parts(busy) -> Parts:
    kind = np.arange(len(busy)) % 5
    train, validation, cold, test = (busy.select(kind == k) for k in range(4))
    known = train.union(validation).union(cold)
    return Parts(train, validation, test, known, test, {"test_cold_users": 2})


@pytest.fixture(scope="module")
def shown(busy, parts) -> Parts:
    """Parts with what a model is shown of users that it was not fitted on."""
    kind = np.arange(len(busy)) % 5
    return replace(
        parts, validation_shown=busy.select(kind == 2), test_shown=busy.select(kind == 4)
    )


KEYS = SplitKeys.derive(b"whole data", "this split")


@pytest.fixture(scope="module")
def negatives(busy) -> csr_array:
    return csr_array(np.random.default_rng(0).random(busy.shape) < 0.2)


def store(folder, parts, negatives=None) -> StoredSplit:
    facts = describe(parts, negatives, negatives)
    return StoredSplit.write(
        folder,
        parts,
        KEYS,
        validation_negatives=negatives,
        test_negatives=negatives,
        facts=facts,
    )


def unseal() -> bytes:
    return KEYS.test


def rows(part, numbers=None):
    """Return the rows of a part, sorted; with numbers, under those."""
    users, items = part.users, part.items
    if numbers is not None:
        users = [int(numbers.users[user]) for user in users]
        items = [int(numbers.items[item]) for item in items]
    times = [None] * len(part) if part.times is None else part.times.tolist()
    return sorted(zip(users, items, part.values.tolist(), times, strict=True))


@pytest.mark.parametrize("sampled", [True, False])
@pytest.mark.parametrize("kind", ["parts", "shown"])
def test_what_was_stored_is_read_back_under_secret_numbers(
    tmp_path, request, kind, negatives, sampled
):
    parts = request.getfixturevalue(kind)
    split = store(tmp_path / "s", parts, negatives if sampled else None)
    view, opened = split.tuning_view(KEYS.tuning), split.sealed(unseal).open()
    numbers = SecretNumbers.derive(KEYS.test, *parts.train.shape)
    for read, written in (
        (view.train, parts.train),
        (view.validation, parts.validation),
        (view.shown, parts.validation_shown),
        (split.known(KEYS.tuning), parts.known),
        (opened.test, parts.test),
        (opened.shown, parts.test_shown),
    ):
        assert (read is None) == (written is None)
        assert read is None or rows(read) == rows(written, numbers)
    for read in (view.validation_negatives, opened.negatives):
        assert (read is not None) == sampled
        if sampled:
            expected = np.zeros(negatives.shape, bool)
            for user, item in zip(*negatives.nonzero(), strict=True):
                expected[numbers.users[user], numbers.items[item]] = True
            assert np.array_equal(read.toarray(), expected)
    labels = dict(zip(numbers.users.tolist(), parts.test.user_ids.tolist(), strict=True))
    assert labels == dict(enumerate(opened.user_ids.tolist()))
    assert split.facts["sampled"] == sampled
    assert split.facts["dropped"] == {"test_cold_users": 2}
    assert split.facts["parts"]["test"]["interactions"] == len(parts.test)


def test_parts_without_times_and_with_text_labels_are_read_back(tmp_path, parts):
    names = {
        "user_ids": parts.train.user_ids.astype(str),
        "item_ids": np.char.add("é", parts.train.item_ids.astype(str)),
    }
    plain = {
        name: replace(getattr(parts, name), times=None, **names)
        for name in ("train", "validation", "test", "known", "hidden")
    }
    opened = store(tmp_path / "s", replace(parts, **plain)).sealed(unseal).open()
    numbers = SecretNumbers.derive(KEYS.test, *parts.train.shape)
    assert opened.test.times is None
    assert rows(opened.test) == rows(plain["test"], numbers)
    assert opened.user_ids[numbers.users].tolist() == names["user_ids"].tolist()


def test_the_opening_is_written_before_the_test_part_is_read(tmp_path, parts, monkeypatch):
    events = []
    monkeypatch.setattr(
        sealed,
        "read_locked",
        lambda path, key: events.append(f"read {path.name}") or keys.read_locked(path, key),
    )
    lock = store(tmp_path / "s", parts).sealed(lambda: events.append("written") or KEYS.test)
    assert events == []
    lock.open()
    assert events == ["written", "read sealed.bin"]


def test_a_seal_opens_once(tmp_path, parts):
    openings = []
    lock = store(tmp_path / "s", parts).sealed(lambda: openings.append(1) or KEYS.test)
    lock.open()
    with pytest.raises(SealError, match="already opened"):
        lock.open()
    assert openings == [1]


def test_nothing_is_read_if_the_ledger_refuses(tmp_path):
    def refuse() -> bytes:
        raise SealError("this cell has a result")

    with pytest.raises(SealError, match="this cell has a result"):
        SealedTest(tmp_path / "absent", refuse).open()


@pytest.mark.parametrize("key", [KEYS.tuning, bytes(32), b"short"])
def test_another_key_does_not_open_the_test_part(tmp_path, parts, key):
    split = store(tmp_path / "s", parts)
    with pytest.raises(SealError, match=r"sealed.bin does not open: .*Delete the folder"):
        split.sealed(lambda: key).open()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0, 100, -1])
def test_a_flipped_bit_is_noticed(tmp_path, parts, name, place):
    path = store(tmp_path / "s", parts).folder / name
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(SealError, match="was altered"):
        read_locked(path, KEYS.test if name == SEALED else KEYS.tuning)


def test_a_locked_file_under_another_name_does_not_open(tmp_path, parts):
    folder = store(tmp_path / "s", parts).folder
    (folder / "known.bin").rename(folder / "tuning.bin")
    with pytest.raises(SealError, match="does not open"):
        StoredSplit(folder).tuning_view(KEYS.tuning)


def test_no_file_of_a_split_shows_what_is_in_it(tmp_path, parts):
    folder = store(tmp_path / "s", parts).folder
    written = b"".join(path.read_bytes() for path in folder.iterdir())
    for part in (parts.train, parts.validation, parts.test, parts.known):
        assert part.items[:8].tobytes() not in written
        assert part.values[:8].tobytes() not in written


def test_the_keys_are_those_of_the_data_and_the_split(busy):
    secret = data_secret(busy)
    assert data_secret(replace(busy, items=busy.items.copy())) == secret
    ours = SplitKeys.derive(secret, "a")
    assert SplitKeys.derive(secret, "a") == ours
    derived = {ours.tuning, ours.test}
    for other in ("b", "A"):
        derived |= {SplitKeys.derive(secret, other).tuning, SplitKeys.derive(secret, other).test}
    assert len(derived) == 6
    assert all(len(key) == 32 for key in derived)
    assert ours.test.hex() not in repr(ours)
    assert repr(ours.test) not in repr(ours)


@pytest.mark.parametrize("array", ["users", "items", "values", "times"])
def test_the_secret_changes_with_any_interaction(busy, array):
    changed = getattr(busy, array).copy()
    changed[-1] += 1
    assert data_secret(replace(busy, **{array: changed})) != data_secret(busy)


def test_the_key_cannot_be_had_from_what_is_public(tmp_path, busy, parts):
    ours = SplitKeys.derive(data_secret(busy), "split")
    split = StoredSplit.write(
        tmp_path / "s",
        parts,
        ours,
        validation_negatives=None,
        test_negatives=None,
        facts=describe(parts, None, None),
    )
    public = [busy.fingerprint, split.facts["fingerprint"], parts.test.fingerprint]
    public += [
        (split.folder / "split.json").read_text(),
        ours.tuning.hex(),
        parts.known.fingerprint,
    ]
    guesses = {bytes.fromhex(text) for text in public if len(text) == 64}
    guesses |= {hashlib.sha256(text.encode()).digest() for text in public}
    guesses |= {data_secret(parts.known), data_secret(parts.train), data_secret(parts.test)}
    guesses |= {SplitKeys.derive(guess, "split").test for guess in guesses}
    for guess in guesses:
        with pytest.raises(SealError, match="does not open"):
            split.sealed(lambda key=guess: key).open()
    assert len(split.sealed(lambda: ours.test).open().test) == len(parts.test)


def test_the_tuning_view_refers_neither_to_the_test_part_nor_to_a_path(tmp_path, parts):
    view = store(tmp_path / "s", parts).tuning_view(KEYS.tuning)
    assert {f.name for f in fields(TuningView)} == {
        "train",
        "validation",
        "validation_negatives",
        "shown",
        "known",
    }
    assert view.known is None
    assert {*vars(view.train), *vars(view.validation)} == {f.name for f in fields(Interactions)}
    # No label of the data set either.
    for part in (view.train, view.validation):
        assert part.user_ids.tolist() == [f"hidden-{n}" for n in range(part.n_users)]
        assert part.item_ids.tolist() == [f"hidden-{n}" for n in range(part.n_items)]


class Popular(Recommender):
    class Config(ModelConfig):
        pass

    def fit(self, train, rng):
        self.counts = train.item_counts.astype(np.float32)
        return self

    def score(self, users, histories):
        return np.tile(self.counts, (len(users), 1))


def test_tuning_works_where_the_sealed_file_is_gone(tmp_path, parts):
    split = store(tmp_path / "s", parts)
    (split.folder / SEALED).unlink()
    evaluator = Evaluator([parse_metric("ndcg@10")], tie_seed=0)
    spec, budget = ModelSpec(name="popular"), TuneSpec(trials=1)
    tuner = Tuner(Popular, spec, budget, split.tuning_view(KEYS.tuning), evaluator, "ndcg@10", 0)
    (trial,) = tuner.run([])
    assert trial.state == "complete"
    with pytest.raises(FileNotFoundError):
        split.sealed(unseal).open()


@pytest.mark.parametrize(("module", "step"), [(sealed, "write_locked"), (durable, "FileLock")])
def test_a_write_that_fails_leaves_nothing(tmp_path, parts, negatives, monkeypatch, module, step):
    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(module, step, fail)
    with pytest.raises(OSError, match="disk full"):
        store(tmp_path / "cache" / "s", parts, negatives)
    assert list((tmp_path / "cache").iterdir()) == []


def test_two_writers_of_the_same_split_both_succeed(tmp_path, parts, monkeypatch):
    both_ready = threading.Barrier(2, timeout=30)
    lock = durable.FileLock
    monkeypatch.setattr(durable, "FileLock", lambda path: (both_ready.wait(), lock(path))[1])
    found: list[StoredSplit] = []
    writers = [
        threading.Thread(target=lambda: found.append(store(tmp_path / "s", parts)))
        for _ in range(2)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [split.is_whole for split in found] == [True, True]
    assert {path.name for path in tmp_path.iterdir()} == {"s", ".lock"}


@pytest.mark.parametrize("damage", ["split.json", *FILES])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_split_that_is_cut_off_anywhere_is_known_and_replaced_as_a_whole(
    tmp_path_factory, parts, damage, share
):
    folder = tmp_path_factory.mktemp("cut")
    store(folder / "s", parts)
    path = folder / "s" / damage
    os.truncate(path, int(share * path.stat().st_size))
    assert not StoredSplit(folder / "s").is_whole
    replaced = store(folder / "s", parts)
    assert replaced.is_whole
    numbers = SecretNumbers.derive(KEYS.test, *parts.train.shape)
    assert rows(replaced.sealed(unseal).open().test) == rows(parts.test, numbers)
    assert {path.name for path in folder.iterdir()} == {"s", ".lock"}


def test_a_split_in_another_layout_is_drawn_again(tmp_path, parts):
    split = store(tmp_path / "s", parts)
    place = split.folder / "split.json"
    place.write_text(place.read_text().replace('"layout": 2', '"layout": 1'))
    assert not split.is_whole
    assert store(tmp_path / "s", parts).is_whole


def print_of(parts, validation_negatives=None, test_negatives=None):
    return describe(parts, validation_negatives, test_negatives)["fingerprint"]


def test_the_fingerprint_is_one_of_the_content(tmp_path, parts, negatives):
    expected = print_of(parts, negatives, negatives)
    assert store(tmp_path / "s", parts, negatives).facts["fingerprint"] == expected


@pytest.mark.parametrize("part", ["train", "validation", "test", "known"])
@pytest.mark.parametrize("array", ["users", "items", "values", "times", "user_ids", "item_ids"])
def test_the_fingerprint_changes_with_any_content(parts, part, array):
    whole = getattr(parts, part)
    changed = getattr(whole, array).copy()
    changed[0] += 1
    other = replace(parts, **{part: replace(whole, **{array: changed})})
    assert print_of(other) != print_of(parts)


def test_the_fingerprint_changes_with_the_negatives(parts, negatives):
    shifted = csr_array(np.roll(negatives.toarray(), 1, axis=1))
    prints = {
        print_of(parts, *pair)
        for pair in (
            (None, None),
            (negatives, None),
            (None, negatives),
            (negatives, negatives),
            (shifted, negatives),
            (negatives, shifted),
        )
    }
    assert len(prints) == 6


def test_the_unit_of_the_times_is_kept(tmp_path, parts):
    def finer(part):
        return None if part is None else replace(part, time_unit="ms")

    names = ("train", "validation", "test", "known", "validation_shown", "test_shown")
    changed = replace(parts, **{name: finer(getattr(parts, name)) for name in names})
    split = store(tmp_path / "s", changed)
    found = [split.known(KEYS.tuning), split.tuning_view(KEYS.tuning).train]
    found.append(split.sealed(unseal).open().test)
    assert {part.time_unit for part in found} == {"ms"}
    assert sorted(found[0].times.tolist()) == sorted(parts.known.times.tolist())

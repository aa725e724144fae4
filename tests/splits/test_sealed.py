"""The stored split: whole or absent, and its test part under a seal."""

import shutil
import threading
from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from recrepro.errors import SealError
from recrepro.evaluation.definitions import parse_metric
from recrepro.evaluation.evaluator import Evaluator
from recrepro.experiment import ModelSpec, TuneSpec
from recrepro.interactions import Interactions
from recrepro.model import ModelConfig, Recommender
from recrepro.splits import sealed
from recrepro.splits.base import Parts
from recrepro.splits.sealed import SealedTest, StoredSplit, TuningView, describe
from recrepro.tuning import Tuner


@pytest.fixture(scope="module")
def parts(busy) -> Parts:
    kind = np.arange(len(busy)) % 5
    train, validation, cold, test = (busy.select(kind == k) for k in range(4))
    known = train.union(validation).union(cold)
    return Parts(train, validation, test, known, test, None, {"test_cold_users": 2})


@pytest.fixture(scope="module")
def negatives(busy) -> csr_array:
    return csr_array(np.random.default_rng(0).random(busy.shape) < 0.2)


def store(folder, parts, negatives=None) -> StoredSplit:
    return StoredSplit.write(
        folder, parts, validation_negatives=negatives, test_negatives=negatives
    )


@pytest.mark.parametrize("sampled", [True, False])
def test_what_was_stored_is_read_back(tmp_path, parts, negatives, sampled):
    split = store(tmp_path / "s", parts, negatives if sampled else None)
    view, opened = split.tuning_view(), split.sealed(lambda: None).open()
    for read, written in (
        (view.train, parts.train),
        (view.validation, parts.validation),
        (split.known(), parts.known),
        (opened.test, parts.test),
    ):
        assert read.fingerprint == written.fingerprint
    for read in (view.validation_negatives, opened.negatives):
        assert (read is not None) == sampled
        assert read is None or (read != negatives).nnz == 0
    assert split.facts["sampled"] == sampled
    assert split.facts["dropped"] == {"test_cold_users": 2}
    assert split.facts["parts"]["test"]["interactions"] == len(parts.test)


def test_the_opening_is_written_before_the_test_part_is_read(tmp_path, parts, monkeypatch):
    events = []
    load = Interactions.load
    monkeypatch.setattr(
        Interactions, "load", lambda path: events.append(f"read {path.name}") or load(path)
    )
    split = store(tmp_path / "s", parts)
    lock = split.sealed(lambda: events.append("written"))
    assert events == []
    lock.open()
    assert events == ["written", "read test.npz"]


def test_a_seal_opens_once(tmp_path, parts):
    openings = []
    lock = store(tmp_path / "s", parts).sealed(lambda: openings.append(1))
    lock.open()
    with pytest.raises(SealError, match="already opened"):
        lock.open()
    assert openings == [1]


def test_nothing_is_read_if_the_ledger_refuses(tmp_path):
    def refuse() -> None:
        raise SealError("this cell has a result")

    with pytest.raises(SealError, match="this cell has a result"):
        SealedTest(tmp_path / "absent", refuse).open()


def test_the_tuning_view_refers_neither_to_the_test_part_nor_to_a_path(tmp_path, parts):
    view = store(tmp_path / "s", parts).tuning_view()
    assert {f.name for f in fields(TuningView)} == {"train", "validation", "validation_negatives"}
    assert view.train.fingerprint == parts.train.fingerprint
    assert view.validation.fingerprint == parts.validation.fingerprint
    assert vars(view.train).keys() | vars(view.validation).keys() <= {
        *(f.name for f in fields(Interactions)),
        "fingerprint",  # cached by the lines above
    }


class Popular(Recommender):
    class Config(ModelConfig):
        pass

    def fit(self, train, rng):
        self.counts = train.item_counts.astype(np.float32)
        return self

    def score(self, users, histories):
        return np.tile(self.counts, (len(users), 1))


def test_tuning_works_where_the_sealed_folder_is_gone(tmp_path, parts):
    split = store(tmp_path / "s", parts)
    shutil.rmtree(split.folder / "sealed")
    evaluator = Evaluator([parse_metric("ndcg@10")], tie_seed=0)
    spec, budget = ModelSpec(name="popular"), TuneSpec(trials=1)
    tuner = Tuner(Popular, spec, budget, split.tuning_view(), evaluator, "ndcg@10", 0)
    (trial,) = tuner.run([])
    assert trial.state == "complete"
    with pytest.raises(FileNotFoundError):
        split.sealed(lambda: None).open()


@pytest.mark.parametrize("step", ["describe", "save_npz"])
def test_a_write_that_fails_leaves_nothing(tmp_path, parts, negatives, monkeypatch, step):
    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(sealed, step, fail)
    with pytest.raises(OSError, match="disk full"):
        store(tmp_path / "cache" / "s", parts, negatives)
    assert list((tmp_path / "cache").iterdir()) == []


def test_two_writers_of_the_same_split_both_succeed(tmp_path, parts, monkeypatch):
    both_ready = threading.Barrier(2, timeout=30)
    monkeypatch.setattr(sealed, "describe", lambda *args: (both_ready.wait(), describe(*args))[1])
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


@pytest.mark.parametrize("damage", ["split.json", "known.npz", "sealed/test.npz"])
def test_a_damaged_split_is_known_and_replaced_as_a_whole(tmp_path, parts, damage):
    store(tmp_path / "s", parts)
    with (tmp_path / "s" / damage).open("r+b") as file:
        file.truncate(10)
    assert not StoredSplit(tmp_path / "s").is_whole
    assert store(tmp_path / "s", parts).is_whole
    assert {path.name for path in tmp_path.iterdir()} == {"s", ".lock"}


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

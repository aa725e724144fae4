"""Side information: read, put into the order of labels, handed to models that need it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recrepro.data.catalogue import DATASETS
from recrepro.data.catalogue.load import load_named_features
from recrepro.data.formats.side import Columns, Flags, Lists, Pairs
from recrepro.data.load import load_dataset, load_features
from recrepro.errors import DataError, ModelError, UnknownName, UsageError
from recrepro.features import Features, FeatureSet
from recrepro.interactions import Interactions
from recrepro.model import ModelConfig, Recommender
from recrepro.spec.experiment import DatasetSpec


def feature_set(ids, rows, columns=None, *, side="item", name="tags", links=False):
    columns = np.arange(len(rows[0])) if columns is None else np.array(columns)
    matrix = csr_array(np.array(rows, np.float32))
    return FeatureSet(side, name, np.array(ids), matrix, columns, links)


@given(st.data())
def test_alignment_gives_each_label_its_own_row(data):
    labels = st.lists(st.integers(0, 30), min_size=1, max_size=12, unique=True)
    ids, wanted = np.array(data.draw(labels)), np.array(data.draw(labels))
    links = data.draw(st.booleans())
    n_columns = len(ids) if links else 4
    values = np.random.default_rng(0).integers(0, 3, (len(ids), n_columns))
    columns = ids if links else np.arange(4)
    one = feature_set(ids, values, columns, links=links).aligned(wanted)
    known = {(i, c): values[a, b] for a, i in enumerate(ids) for b, c in enumerate(columns)}
    across = wanted if links else columns
    expected = [[known.get((i, c), 0) for c in across] for i in wanted]
    np.testing.assert_array_equal(one.matrix.toarray(), expected)
    np.testing.assert_array_equal(one.columns, across)


def test_what_is_stored_comes_back(tmp_path):
    features = Features(
        (
            feature_set([3, 5], [[1, 0], [0, 2]]),
            feature_set(["a", "b"], [[0, 1], [1, 0]], ["a", "b"], side="user", links=True),
        )
    )
    features.store(tmp_path / "f" / "x")
    features.store(tmp_path / "f" / "x")
    again = Features.stored(tmp_path / "f" / "x")
    assert again.fingerprints == features.fingerprints
    assert [p.name for p in (tmp_path / "f").iterdir() if p.is_dir()] == ["x"]


def test_the_fingerprint_tells_any_difference():
    one = feature_set([3, 5], [[1, 0], [0, 2]])
    others = [
        feature_set([3, 6], [[1, 0], [0, 2]]),
        feature_set([3, 5], [[1, 0], [0, 1]]),
        feature_set([3, 5], [[0, 1], [0, 2]]),
        feature_set([3, 5], [[1, 0], [0, 2]], name="words"),
        feature_set([3, 5], [[1, 0], [0, 2]], side="user"),
        feature_set([3, 5], [[1, 0], [0, 2]], links=True),
    ]
    assert one.fingerprint == feature_set([3, 5], [[1, 0], [0, 2]]).fingerprint
    assert len({one.fingerprint, *(o.fingerprint for o in others)}) == 7


def test_sets_are_chosen_by_name_and_stand_side_by_side():
    tags, words = feature_set([1, 2], [[1], [0]]), feature_set([1, 2], [[0, 3], [4, 0]], name="w")
    links = feature_set([1, 2], [[0, 1], [1, 0]], [1, 2], name="cites", links=True)
    features = Features((tags, words, links))
    np.testing.assert_array_equal(features.matrix("item").toarray(), [[1, 0, 3], [0, 4, 0]])
    np.testing.assert_array_equal(features.matrix("item", "cites").toarray(), [[0, 1], [1, 0]])
    assert features.chosen("item", "w, tags") == (words, tags)
    with pytest.raises(UnknownName, match=r"unknown item features 'tag'\. Did you mean 'tags'"):
        features.matrix("item", "tag")
    with pytest.raises(UsageError, match="there are no features of users"):
        features.matrix("user")
    with pytest.raises(UsageError, match=r"no features of items \(there are links: cites\)"):
        Features((links,)).matrix("item")


def test_columns_become_a_feature_for_each_value():
    raw = b"id,genre,year\n7,Drama|War,1990\n5,,2000\n6,none,2000\n"
    read = Columns(header=True, absent="none").read(raw, "movies.csv")
    assert read.ids.tolist() == [5, 6, 7]
    assert read.columns.tolist() == ["genre=Drama", "genre=War", "year=1990", "year=2000"]
    np.testing.assert_array_equal(read.matrix.toarray(), [[0, 0, 0, 1], [0, 0, 0, 1], [1, 1, 1, 0]])
    read = Columns(take=("year",), header=True, numeric=("year",)).read(raw, "movies.csv")
    np.testing.assert_array_equal(read.matrix.toarray(), [[2000], [2000], [1990]])
    read = Columns(take=(1,), delimiter="::", names=("genre",)).read(
        b"1::A|B\n2::B\n", "movies.dat"
    )
    assert read.columns.tolist() == ["A", "B"]
    with pytest.raises(UsageError, match="no column 'genres'; it has 'id', 'genre', 'year'"):
        Columns(take=("genres",), header=True).read(raw, "movies.csv")
    with pytest.raises(DataError, match="a label has two lines: 1"):
        Columns().read(b"1,a\n1,b\n", "twice.csv")


def test_other_layouts():
    read = Flags(first=1, names=("A", "B")).read(b"2|0|1\n1|1|1\n", "u.item")
    np.testing.assert_array_equal(read.matrix.toarray(), [[1, 1], [0, 1]])
    with pytest.raises(DataError, match="2 columns of 0 and 1 are needed from column 2 on"):
        Flags(first=1, names=("A", "B")).read(b"2|0|x\n", "u.item")
    read = Pairs(header=True).read(b"user\tfriend\n2\t9\n2\t9\n1\t2\n", "friends.dat")
    assert (read.ids.tolist(), read.columns.tolist()) == ([1, 2], [2, 9])
    np.testing.assert_array_equal(read.matrix.toarray(), [[1, 0], [0, 1]])
    read = Pairs(both_ways=True).read(b"1\t2\n", "trust.txt")
    np.testing.assert_array_equal(read.matrix.toarray(), [[0, 1], [1, 0]])
    with pytest.raises(DataError, match="line 1: the third column 'x' is not a finite number"):
        Pairs().read(b"1\t2\tx\n", "pairs.tsv")
    read = Lists(counted=True).read(b"2 0:3 2:1\n0\n1 1:5\n", "mult.dat")
    np.testing.assert_array_equal(read.matrix.toarray(), [[3, 0, 1], [0, 0, 0], [0, 5, 0]])
    read = Lists(by_feature=True).read(b"2 0 2\n1 1\n", "tag-item.dat")
    np.testing.assert_array_equal(read.matrix.toarray(), [[1, 0], [0, 1], [1, 0]])
    with pytest.raises(DataError, match=r"line 2: it starts with '3' and has 1 entries"):
        Lists().read(b"1 4\n3 7\n", "lists.dat")


def test_a_value_of_0_is_no_feature():
    price = Columns(header=True, numeric=("price",)).read(b"item,price\n1,0\n2,3\n", "shop.csv")
    often = Pairs(delimiter=",").read(b"1,a,0\n2,a,3\n", "shop.csv")
    for rows in (price, often):
        assert (rows.ids.tolist(), rows.matrix.nnz) == ([1, 2], 1)
        np.testing.assert_array_equal(rows.matrix.toarray(), [[0], [3]])


def test_files_of_ones_own(tmp_path):
    (tmp_path / "log.csv").write_text("user,item\na,1\nb,2\n")
    (tmp_path / "shop.tsv").write_text("sku\tcolour\tprice\n1\tred\t2.5\n2\tblue|red\t1\n")
    (tmp_path / "friends.csv").write_text("user,friend\na,b\n")
    spec = DatasetSpec.model_validate_json(
        """{"name": "shop", "file": "log.csv", "features": [
        {"side": "item", "name": "what", "file": "shop.tsv", "numeric": ["price"]},
        {"side": "user", "name": "friends", "file": "friends.csv", "layout": "pairs",
         "links": true}]}"""
    )
    features = load_features(spec, tmp_path).aligned(np.array(["a", "b"]), np.array([1, 2]))
    (what,) = features.chosen("item")
    assert what.columns.tolist() == ["colour=blue", "colour=red", "price"]
    np.testing.assert_array_equal(what.matrix.toarray(), [[0, 1, 2.5], [1, 1, 1]])
    np.testing.assert_array_equal(features.matrix("user", "friends").toarray(), [[0, 1], [0, 0]])


def test_made_up_data_have_features_that_tell_something():
    spec = DatasetSpec.model_validate_json(
        '{"name": "toy", "synthetic": {"users": 50, "items": 40, "interactions": 600}}'
    )
    features = load_features(spec, Path())
    assert features.matrix("item").shape == (40, 20)
    assert features.matrix("user").shape == (50, 20)
    train = load_dataset(spec, Path()).interactions
    likes = (features.matrix("user") @ features.matrix("item").T).toarray() > 0
    share = likes[train.users, train.items].mean()
    assert share > likes.mean() + 0.1


@pytest.mark.realdata
def test_named_data_sets_have_the_published_features(data_dir):
    local = [
        name
        for name, entry in DATASETS.items()
        if entry.features and name != "movielens-latest-small"  # the copy is of another year
    ]
    found = {name: load_named_features(name, data_dir) for name in local}
    assert len(found) == 15
    # Counts that the publishers print: README of CiteULike-a and -t, of HetRec 2011, of MovieLens.
    words = found["citeulike-t"].of("item")
    assert words["words"].matrix.shape == (25_975, 20_000)
    assert words["tags"].matrix.shape == (25_975, 52_946)
    assert words["citations"].matrix.nnz == 2 * 32_565
    tags = found["citeulike-a"].of("item")
    assert tags["tags"].matrix.shape == (16_980, 46_391)
    assert tags["citations"].matrix.nnz == 2 * 44_709
    assert found["lastfm-hetrec2011"].of("user")["friends"].matrix.nnz == 2 * 12_717
    assert found["movielens-1m"].of("user")["demographics"].matrix.shape == (6_040, 2 + 7 + 21)
    assert found["movielens-1m"].of("item")["genres"].matrix.shape == (3_883, 18)
    assert found["movielens-100k"].of("item")["genres"].matrix.shape == (1_682, 19)


class Content(Recommender):
    """Scores by shared features."""

    needs_features = ("item",)

    class Config(ModelConfig):
        """Which features."""

        item_features: str = "all"

    def fit(self, train, rng):
        self.items = self.feature_matrix("item", train)
        return self

    def score(self, users, histories):
        return np.float32((histories @ self.items @ self.items.T).toarray())


def test_a_model_without_its_features_says_so():
    train = Interactions.from_frame(pd.DataFrame({"user": [1, 2], "item": [1, 2]}))
    with pytest.raises(ModelError, match=r"Content needs features of items: give it some"):
        Content().fit(train, np.random.default_rng(0))
    other = Features((feature_set([1], [[1]]),))
    with pytest.raises(ModelError, match="features of 1 items, and is fitted on 2: align"):
        Content().with_features(other).fit(train, np.random.default_rng(0))

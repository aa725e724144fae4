import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recrepro.compute.checkpoint import Checkpoint


def test_what_was_written_comes_back(tmp_path):
    checkpoint = Checkpoint(tmp_path / "new" / "fit.npz")
    assert checkpoint.read() is None
    arrays = {"a b": np.arange(6, dtype=np.float32).reshape(2, 3), "notes": np.array(3)}
    checkpoint.write(arrays, {"epoch": 3, "best": [{"ndcg@10": 0.1}, 2]})
    found, notes = checkpoint.read()
    assert notes == {"epoch": 3, "best": [{"ndcg@10": 0.1}, 2]}
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_off_anywhere_counts_as_none(tmp_path_factory, share):
    checkpoint = Checkpoint(tmp_path_factory.mktemp("cut") / "fit.npz")
    checkpoint.write({"a": np.arange(100)}, {"epoch": 3})
    content = checkpoint.path.read_bytes()
    checkpoint.path.write_bytes(content[: int(share * len(content))])
    assert checkpoint.read() is None


def test_a_pickle_is_not_read(tmp_path):
    checkpoint = Checkpoint(tmp_path / "fit.npz")
    with checkpoint.path.open("wb") as file:
        np.savez(file, notes=np.array([{"epoch": 1}], dtype=object))
    assert checkpoint.read() is None


def test_it_is_due_when_the_time_between_two_writings_is_over(tmp_path):
    assert Checkpoint(tmp_path / "fit.npz", seconds=0).due
    patient = Checkpoint(tmp_path / "fit.npz", seconds=1e9)
    assert not patient.due
    assert not patient.stage("gmf").due


def test_removing_takes_stages_along_and_nothing_else(tmp_path):
    one, ten = (Checkpoint(tmp_path / f"trial-{n}.npz") for n in (1, 10))
    for checkpoint in (one, one.stage("gmf"), ten):
        checkpoint.write({}, {})
    one.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["trial-10.npz"]


def test_a_failed_writing_leaves_the_old_file_and_no_draft(tmp_path):
    checkpoint = Checkpoint(tmp_path / "fit.npz")
    checkpoint.write({"a": np.arange(3)}, {"epoch": 1})
    with pytest.raises(TypeError):
        checkpoint.write({"a": np.arange(3)}, {"epoch": object()})
    assert checkpoint.read()[1] == {"epoch": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["fit.npz"]

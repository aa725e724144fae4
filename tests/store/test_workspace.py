"""Blobs: whole under their hash, found out when they are not, and written anew."""

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recrepro.errors import RecreproError
from recrepro.store.workspace import Workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return Workspace.create(tmp_path_factory.mktemp("runs"))


@given(content=st.binary(min_size=1, max_size=200), data=st.data())
def test_a_blob_that_was_cut_off_or_altered_is_named_and_written_anew(workspace, content, data):
    digest = workspace.write_blob(content)
    assert workspace.read_blob(digest) == content
    damaged = data.draw(st.binary(max_size=200).filter(lambda other: other != content))
    cut = content[: data.draw(st.integers(0, len(content) - 1))]
    for wrong in (damaged, cut):
        workspace.blob(digest).write_bytes(wrong)
        with pytest.raises(RecreproError, match=r"was altered.*--reopen NAME"):
            workspace.read_blob(digest)
        assert workspace.write_blob(content) == digest
        assert workspace.read_blob(digest) == content


def test_a_blob_that_is_gone_is_named(workspace):
    with pytest.raises(RecreproError, match=r"is missing.*--reopen NAME"):
        workspace.read_blob("0" * 64)


def test_a_blob_that_does_not_fit_on_the_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    workspace = Workspace.create(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        workspace.write_blob(b"content")
    files = {path.name for path in (tmp_path / "blobs").rglob("*") if path.is_file()}
    assert files <= {".lock"}

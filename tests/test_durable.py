import errno
import os
import stat

import pytest

from recrepro.durable import DRAFT, new_file, new_folder


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Record in order the names of what is synced, and the new names of what is renamed."""
    made = []
    sync, replace = os.fsync, os.replace

    def recorded_sync(descriptor):
        places = [tmp_path, *tmp_path.rglob("*")]
        made.extend(
            ("sync", p.name) for p in places if os.path.samestat(p.stat(), os.fstat(descriptor))
        )
        sync(descriptor)

    def recorded_replace(source, target):
        made.append(("rename", target.name))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", recorded_sync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    return made


@pytest.fixture(params=["fsync", "replace"])
def broken_disk(request, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, request.param, full)


def write_file(path, content, error=None):
    with new_file(path) as draft:
        draft.write_text(content)
        if error is not None:
            raise error


def write_folder(path, content, error=None, **options):
    with new_folder(path, **options) as draft:
        (draft / "inner").mkdir()
        (draft / "inner" / "part").write_text(content)
        if error is not None:
            raise error


def test_a_file_is_at_its_place_only_when_it_is_whole(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    with new_file(path) as draft:
        draft.write_text("half")
        assert draft.parent == path.parent
        assert draft.name.startswith(DRAFT)
        assert not path.exists()
    assert path.read_text() == "half"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_replaced(tmp_path):
    for content in ("old", "new"):
        write_file(tmp_path / "file", content)
    assert (tmp_path / "file").read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_no_draft(tmp_path, error):
    write_file(tmp_path / "file", "old")
    with pytest.raises(error):
        write_file(tmp_path / "file", "new", error)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_a_broken_disk_leaves_the_old_file_and_no_draft(tmp_path, broken_disk):
    (tmp_path / "file").write_text("old")
    with pytest.raises(OSError, match="No space left"):
        write_file(tmp_path / "file", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_a_file_is_synced_before_it_is_renamed_and_its_folder_after(tmp_path, calls):
    write_file(tmp_path / "file", "content")
    (sync, draft), *rest = calls
    assert sync == "sync"
    assert draft.startswith(f"{DRAFT}file-")
    assert rest == [("rename", "file"), ("sync", tmp_path.name)]


def test_the_names_of_new_folders_above_a_file_are_synced(tmp_path, calls):
    write_file(tmp_path / "a" / "b" / "file", "content")
    assert {("sync", tmp_path.name), ("sync", "a"), ("sync", "b")} <= set(calls)


def test_the_umask_decides_who_may_read(tmp_path):
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "file", "content")
        write_folder(tmp_path / "folder", "content")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o750


def test_a_folder_is_at_its_place_only_when_it_is_whole(tmp_path):
    path = tmp_path / "a" / "folder"
    with new_folder(path) as draft:
        (draft / "part").write_text("half")
        assert draft.parent == path.parent
        assert not path.exists()
    assert (path / "part").read_text() == "half"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_no_folder(tmp_path, error):
    with pytest.raises(error):
        write_folder(tmp_path / "folder", "content", error)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_disk_leaves_no_folder(tmp_path, broken_disk):
    with pytest.raises(OSError, match="No space left"):
        write_folder(tmp_path / "folder", "content")
    assert list(tmp_path.iterdir()) == []


def test_everything_in_a_folder_is_synced_before_it_is_renamed(tmp_path, calls):
    write_folder(tmp_path / "folder", "content")
    renamed = calls.index(("rename", "folder"))
    draft = calls[renamed - 1][1]
    assert draft.startswith(f"{DRAFT}folder-")
    assert set(calls[:renamed]) == {("sync", "inner"), ("sync", "part"), ("sync", draft)}
    assert calls[renamed + 1 :] == [("sync", tmp_path.name)]


def test_a_folder_takes_the_place_of_an_empty_one_only(tmp_path):
    (tmp_path / "folder").mkdir()
    write_folder(tmp_path / "folder", "first")
    with pytest.raises(OSError, match="not empty"):
        write_folder(tmp_path / "folder", "second")
    assert (tmp_path / "folder" / "inner" / "part").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("whole", [True, False])
def test_a_shared_folder_is_replaced_unless_it_is_whole(tmp_path, whole):
    asked = []

    def is_whole(path):
        asked.append((path, (path / "inner" / "part").read_text()))
        return whole

    write_folder(tmp_path / "folder", "first")
    write_folder(tmp_path / "folder", "second", is_whole=is_whole)
    assert asked == [(tmp_path / "folder", "first")]
    kept = (tmp_path / "folder" / "inner" / "part").read_text()
    assert kept == ("first" if whole else "second")
    assert {path.name for path in tmp_path.iterdir()} <= {"folder", ".lock"}

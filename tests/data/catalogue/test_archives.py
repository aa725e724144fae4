"""Archives that are whole, damaged, and hostile."""

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from recrepro.data.catalogue.archives import is_archive, read_members
from recrepro.errors import DataError


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, members: dict[str, bytes], **entry) -> Path:
    """Make a tar archive; `entry` holds attributes of its last member."""
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if name == list(members)[-1]:
                for attribute, value in entry.items():
                    setattr(info, attribute, value)
            archive.addfile(info, io.BytesIO(content))
    return path


MAKERS = {"a.zip": make_zip, "a.tar": make_tar, "a.tar.gz": make_tar, "a.tgz": make_tar}


@pytest.mark.parametrize("name", MAKERS)
def test_members_are_read_and_nothing_is_written(tmp_path, name):
    members = {"d/mv_1.txt": b"1:\n", "d/mv_2.txt": b"2:\n", "d/readme": b"x", "u.data": b"1\t2\n"}
    archive = MAKERS[name](tmp_path / name, members)
    assert is_archive(archive)
    assert dict(read_members(archive, "u.data", 4)) == {"u.data": b"1\t2\n"}
    both = {"d/mv_1.txt": b"1:\n", "d/mv_2.txt": b"2:\n"}
    assert dict(read_members(archive, "*mv_*.txt", 6)) == both
    with pytest.raises(DataError, match="more than the 5 bytes"):
        list(read_members(archive, "*mv_*.txt", 5))
    with pytest.raises(DataError, match="more than the 3 bytes"):
        list(read_members(archive, "u.data", 3))
    with pytest.raises(DataError, match=rf"{name} holds no 'v\.data'"):
        list(read_members(archive, "v.data", 10))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_a_zip_holds_is_named(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"d/u.data": b"1"})
    with pytest.raises(DataError, match=r"a\.zip holds no 'u\.data', but d/u\.data"):
        list(read_members(archive, "u.data", 10))
    empty = make_zip(tmp_path / "empty.zip", {})
    with pytest.raises(DataError, match=r"empty\.zip holds no 'u\.data', but nothing"):
        list(read_members(empty, "u.data", 10))


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("member", ["../u.data", "d/../../u.data", "/etc/u.data", "C:\\u.data"])
def test_names_that_lead_out_of_the_folder(tmp_path, name, member):
    archive = MAKERS[name](tmp_path / name, {member: b"1", "u.data": b"1"})
    for pattern in (member, "u.data"):
        with pytest.raises(DataError, match="leads out of the archive's folder"):
            list(read_members(archive, pattern, 10))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar(tmp_path, kind):
    members = {"u.data": b""}
    archive = make_tar(tmp_path / "a.tar", members, type=kind, linkname="/etc/passwd")
    with pytest.raises(DataError, match=r"'u\.data' is a link or a device"):
        list(read_members(archive, "u.data", 10))


def test_a_link_in_a_zip(tmp_path):
    link = zipfile.ZipInfo("u.data")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match=r"'u\.data' is a link or a device"):
        list(read_members(tmp_path / "a.zip", "u.data", 100))


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
@pytest.mark.parametrize("member", ["u.data", "other"])
def test_bombs(tmp_path, name, member):
    archive = MAKERS[name](tmp_path / name, {member: bytes(20_000_000), "v.data": b"1"})
    assert archive.stat().st_size < 100_000
    if member == "other" and name == "a.zip":
        # What a zip archive holds beside the member is never unpacked.
        assert dict(read_members(archive, "v.data", 9)) == {"v.data": b"1"}
        return
    with pytest.raises(DataError, match=r"fetch .* again"):
        list(read_members(archive, "u.data" if member == "u.data" else "v.data", 10**9))


def test_a_zip_that_lies_about_a_size(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"u.data": b"0" * 5_000})
    raw = path.read_bytes()
    size = (5_000).to_bytes(4, "little")
    assert raw.count(size) == 2
    path.write_bytes(raw.replace(size, (5).to_bytes(4, "little")))
    with pytest.raises(DataError, match="not a whole zip archive"):
        list(read_members(path, "u.data", 100))


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_damaged_archives(tmp_path, name):
    whole = MAKERS[name](tmp_path / name, {"d/u.data": bytes(range(256)) * 40}).read_bytes()
    middle = io.BytesIO(whole)
    middle.seek(60)
    middle.write(b"\xff" * 20)
    for raw in (whole[:-30], b"", b"not an archive", middle.getvalue()):
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(DataError, match=rf"{name} is not a whole (zip|tar) archive"):
            list(read_members(tmp_path / name, "d/u.data", 10**6))

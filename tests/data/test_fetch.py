"""Downloads from a server of our own that serves well and badly."""

import errno
import hashlib
import io
import multiprocessing
import socket
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from recrepro.data import fetch as module
from recrepro.data.fetch import cache_folder, download_path, fetch, read_member
from recrepro.errors import DataError

BODY = b"user,item\n" + b"1,2\n" * 50_000
SIZE = len(BODY)
SHA = hashlib.sha256(BODY).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        path = self.path.rpartition("/")[2]
        if path == "missing":
            self.send_error(404)
            return
        if path == "busy" and len(self.server.asked) < 3:
            self.send_error(503)
            return
        if path in {"moved", "moved-away"}:
            self.send_response(302)
            target = "/whole" if path == "moved" else "http://example.invalid/whole"
            self.send_header("Location", target)
            self.end_headers()
            return
        self.send_response(200)
        if path != "unannounced":
            self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[: 1_000 if path == "cut" else None])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(module, "RETRY_WAITS", (0.0, 0.0))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def get(server, name, cache, sha256=SHA, size_limit=SIZE):
    url = f"http://127.0.0.1:{server.server_port}/{name}"
    return fetch(url, sha256, size_limit=size_limit, cache=cache, progress=True)


def files(cache: Path) -> list[str]:
    return [path.name for path in cache.glob("*") if path.name != ".locks"]


@pytest.mark.parametrize("name", ["whole", "unannounced", "moved"])
def test_a_file_is_downloaded_once(server, tmp_path, name):
    path = get(server, name, tmp_path / "new" / "cache")
    url = f"http://127.0.0.1:{server.server_port}/{name}"
    assert path == download_path(url, tmp_path / "new" / "cache")
    asked = len(server.asked)
    assert path.read_bytes() == BODY
    assert get(server, name, tmp_path / "new" / "cache") == path
    assert len(server.asked) == asked
    assert files(tmp_path / "new" / "cache") == [path.name]


def test_a_spoilt_file_in_the_cache_is_replaced(server, tmp_path):
    path = get(server, "whole", tmp_path)
    path.write_bytes(b"spoilt")
    assert get(server, "whole", tmp_path).read_bytes() == BODY


def test_a_busy_server_is_asked_again(server, tmp_path):
    assert get(server, "busy", tmp_path).read_bytes() == BODY
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("name", "sha256", "size_limit", "reason", "times"),
    [
        ("missing", SHA, 10**6, "answered 404", 1),
        ("cut", SHA, 10**6, "broke off", 3),
        ("cut", None, 10**6, "broke off", 3),
        ("whole", "0" * 64, 10**6, f"SHA-256 is not {'0' * 64}", 1),
        ("whole", SHA, SIZE - 1, f"larger than the {SIZE - 1} bytes", 1),
        ("unannounced", SHA, SIZE - 1, f"larger than the {SIZE - 1} bytes", 1),
        ("moved-away", SHA, 10**6, "http://example.invalid/whole is not an https address", 1),
    ],
)
def test_every_failure_says_why_and_leaves_nothing(
    server, tmp_path, name, sha256, size_limit, reason, times
):
    with pytest.raises(DataError, match=reason) as caught:
        get(server, name, tmp_path, sha256, size_limit)
    assert f"/{name} could not be downloaded" in str(caught.value)
    assert "--data DIR" in str(caught.value)
    assert files(tmp_path) == []
    assert len(server.asked) == times


def test_a_full_disk(server, tmp_path, monkeypatch):
    def write(self, chunk):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module._Limited, "write", write)
    with pytest.raises(DataError, match="disk is full"):
        get(server, "whole", tmp_path)
    assert files(tmp_path) == []


def test_an_interrupt_leaves_nothing(server, tmp_path, monkeypatch):
    def write(self, chunk):
        self.file.write(chunk[:10])
        raise KeyboardInterrupt

    monkeypatch.setattr(module._Limited, "write", write)
    with pytest.raises(KeyboardInterrupt):
        get(server, "whole", tmp_path)
    assert files(tmp_path) == []


def test_a_cache_that_cannot_be_made(server, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DataError, match=r"taken cannot be written.*RECREPRO_CACHE"):
        get(server, "whole", tmp_path / "taken")


def test_no_server(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RETRY_WAITS", ())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/whole"
        with pytest.raises(DataError, match="connection failed"):
            fetch(url, SHA, size_limit=9, cache=tmp_path, progress=False)


@pytest.mark.parametrize("url", ["http://example.invalid/a", "ftp://localhost/a", "file:///a"])
def test_only_https_leaves_this_machine(tmp_path, url):
    with pytest.raises(DataError, match="not an https address"):
        fetch(url, SHA, size_limit=9, cache=tmp_path, progress=False)


def test_two_processes_share_one_download(server, tmp_path):
    context = multiprocessing.get_context("spawn")
    url = f"http://127.0.0.1:{server.server_port}/whole"
    with context.Pool(2) as pool:
        arguments = {"size_limit": len(BODY), "cache": tmp_path, "progress": False}
        waiting = [pool.apply_async(fetch, (url, SHA), arguments) for _ in range(4)]
        paths = {result.get() for result in waiting}
        pool.close()
        pool.join()
    assert [path.read_bytes() for path in paths] == [BODY]
    assert server.asked == ["/whole"]


def test_the_cache_folder_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("RECREPRO_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("RECREPRO_CACHE")
    assert cache_folder().name == "recrepro"


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_member_is_read_and_nothing_is_written(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"d/u.data": b"1\t2\n", "../../out": b"x"})
    assert read_member(archive, "d/u.data", 4) == b"1\t2\n"
    assert read_member(archive, "../../out", 4) == b"x"
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_members_that_cannot_be_had(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"d/u.data": b"0" * 10**6})
    with pytest.raises(DataError, match=r"a\.zip holds no 'u\.data', but d/u\.data"):
        read_member(archive, "u.data", 10)
    with pytest.raises(DataError, match="more than the 999999 bytes"):
        read_member(archive, "d/u.data", 999_999)
    empty = make_zip(tmp_path / "empty.zip", {})
    with pytest.raises(DataError, match=r"empty\.zip holds no 'u\.data', but nothing"):
        read_member(empty, "u.data", 10)


def test_damaged_archives(tmp_path):
    whole = make_zip(tmp_path / "a.zip", {"d/u.data": bytes(range(256)) * 40}).read_bytes()
    middle = io.BytesIO(whole)
    middle.seek(60)
    middle.write(b"\xff" * 20)
    for raw in (whole[:-30], b"", b"not a zip", middle.getvalue()):
        (tmp_path / "b.zip").write_bytes(raw)
        with pytest.raises(DataError, match=r"b\.zip is not a whole zip archive"):
            read_member(tmp_path / "b.zip", "d/u.data", 10**6)

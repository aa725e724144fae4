"""Downloads from a server of our own that serves well and badly."""

import contextlib
import errno
import gzip
import hashlib
import multiprocessing
import random
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from recrepro.compute.patience import THREAD
from recrepro.data.catalogue import fetch as module
from recrepro.data.catalogue.fetch import cache_folder, download_path, fetch
from recrepro.errors import DataError

BODY = b"user,item\n" + b"1,2\n" * 50_000
SIZE = len(BODY)
CUT = 100_000
KEPT = 65_536
"""What is taken of CUT bytes: a chunk that is not whole when the transfer breaks off is lost."""
SHA = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
MD5 = f"md5:{hashlib.md5(BODY, usedforsecurity=False).hexdigest()}"
STRANGE = {
    "length-of-letters": (200, {"Content-Length": "abc"}),
    "negative-length": (200, {"Content-Length": "-5"}),
    "endless-length": (200, {"Content-Length": "9" * 5_000}),
    "length-too-short": (200, {"Content-Length": "7, 7"}),
    "no-content": (204, {}),
    "redirected-nowhere": (302, {}),
    "redirected-to-no-address": (302, {"Location": "http://[::1"}),
    "redirected-to-bytes": (302, {"Location": "/\xff"}),
}
"""Answers that a server should not give: status and headers."""


class Handler(BaseHTTPRequestHandler):
    """Serves BODY in the way that the name of the file asks for."""

    def do_GET(self):
        self.server.asked.append(self.path)
        self.server.ranges.append((self.headers["Range"], self.headers["If-Range"]))
        path = self.path.rpartition("/")[2]
        times = len(self.server.asked)
        if path.startswith("drips-"):
            self.drip(path)
            return
        if path in STRANGE:
            self.be_strange(*STRANGE[path])
            return
        if path == "missing" or (path == "gone" and times > 1):
            self.send_error(404)
            return
        if path == "busy" and times < 3:
            self.send_error(503)
            return
        if path in {"moved", "moved-away"}:
            self.send_response(302)
            target = "/whole" if path == "moved" else "http://example.invalid/whole"
            self.send_header("Location", target)
            self.end_headers()
            return
        body = self.server.body
        start = self.resumed(path, body)
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        for header, value in self.server.validators.items():
            self.send_header(header, value)
        if start:
            first = start + 1 if path == "shifted" else start
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        if path != "unannounced":
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        cut = path in {"cut", "gone"} or (
            path in {"cut-once", "no-ranges", "shifted"} and times < 2
        )
        self.wfile.write(body[start : start + CUT if cut else None])

    def be_strange(self, status, headers):
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(self.server.body)

    def drip(self, path):
        """Say a byte again and again until the test is over, and then all the rest at once."""
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n".encode()
        if path == "drips-chunks":
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
        if path == "drips-redirected":
            head = b"HTTP/1.1 302 Found\r\nLocation: /whole\r\nContent-Length: 99999999\r\n"
        said = head + b"X-Long: " if path == "drips-headers" else head + b"\r\n"
        drop = b"1\r\nx\r\n" if path == "drips-chunks" else b"x"
        with contextlib.suppress(OSError):
            self.wfile.write(said)
            while not self.server.over.wait(0.01):
                self.wfile.write(drop)
            if path == "drips-headers":
                self.wfile.write(b"\r\n\r\n")
            self.wfile.write(BODY)

    def resumed(self, path, body):
        """Return where to start: at 0, unless the rest of this very file is asked for."""
        wanted, condition = self.headers["Range"], self.headers["If-Range"]
        if not wanted or path == "no-ranges":
            return 0
        if condition not in self.server.validators.values():
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(module, "RETRY_WAITS", (0.0, 0.0))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked, running.ranges, running.over = [], [], threading.Event()
        running.body, running.validators = BODY, {"ETag": '"one"'}
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.over.set()
        running.shutdown()
        thread.join()


def get(server, name, cache, checksum=SHA, size_limit=SIZE):
    url = f"http://127.0.0.1:{server.server_port}/{name}"
    return fetch(url, checksum, size_limit=size_limit, cache=cache, progress=True)


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
    ("name", "checksum", "size_limit", "reason", "times"),
    [
        ("missing", SHA, 10**6, "answered 404", 1),
        ("whole", f"sha256:{'0' * 64}", 10**6, f"SHA-256 is not {'0' * 64}", 1),
        ("whole", f"md5:{'0' * 32}", 10**6, f"MD5 is not {'0' * 32}", 1),
        ("cut-once", f"md5:{'0' * 32}", 10**6, f"MD5 is not {'0' * 32}", 2),
        ("whole", SHA, SIZE - 1, f"larger than the {SIZE - 1} bytes", 1),
        ("unannounced", SHA, SIZE - 1, f"larger than the {SIZE - 1} bytes", 1),
        ("moved-away", SHA, 10**6, "http://example.invalid/whole is not an https address", 1),
    ],
)
def test_every_failure_says_why_and_leaves_nothing(
    server, tmp_path, name, checksum, size_limit, reason, times
):
    with pytest.raises(DataError, match=reason) as caught:
        get(server, name, tmp_path, checksum, size_limit)
    assert f"/{name} could not be downloaded" in str(caught.value)
    assert "Nothing was kept" in str(caught.value)
    assert "--data DIR" in str(caught.value)
    assert files(tmp_path) == []
    assert len(server.asked) == times


@pytest.mark.parametrize("checksum", [SHA, MD5, None])
def test_a_broken_transfer_goes_on_where_it_stopped(server, tmp_path, checksum):
    assert get(server, "cut-once", tmp_path, checksum).read_bytes() == BODY
    assert server.ranges == [(None, None), (f"bytes={KEPT}-", '"one"')]
    assert len(files(tmp_path)) == 1


def test_what_came_is_kept_for_the_next_attempt(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RETRY_WAITS", ())
    for size in (KEPT, 2 * KEPT):
        with pytest.raises(DataError, match=rf"broke off.* The {size} bytes that came are kept"):
            get(server, "cut", tmp_path)
        assert not download_path(f"http://127.0.0.1:{server.server_port}/cut", tmp_path).exists()
        assert len(files(tmp_path)) == 2
    assert [wanted for wanted, _ in server.ranges] == [None, f"bytes={KEPT}-"]


def test_a_date_marks_a_file_too(server, tmp_path):
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    server.validators = {"ETag": 'W/"weak"', "Last-Modified": date}
    assert get(server, "cut-once", tmp_path).read_bytes() == BODY
    assert server.ranges[1] == (f"bytes={KEPT}-", date)


@pytest.mark.parametrize("validators", [{}, {"ETag": 'W/"weak"'}])
def test_a_file_that_nothing_marks_is_fetched_anew(server, tmp_path, validators):
    server.validators = validators
    assert get(server, "cut-once", tmp_path).read_bytes() == BODY
    assert server.ranges == [(None, None)] * 2


def test_a_packed_transfer_is_not_gone_on_with(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RETRY_WAITS", ())
    server.body = gzip.compress(random.Random(3).randbytes(3 * CUT), 0)
    server.validators |= {"Content-Encoding": "gzip"}
    with pytest.raises(DataError, match="Nothing was kept"):
        get(server, "cut", tmp_path, size_limit=10 * SIZE)
    assert files(tmp_path) == []


def test_a_server_without_ranges_sends_all_of_it(server, tmp_path):
    assert get(server, "no-ranges", tmp_path).read_bytes() == BODY
    assert server.ranges[1][0] == f"bytes={KEPT}-"


def test_another_rest_than_asked_for_is_refused(server, tmp_path):
    assert get(server, "shifted", tmp_path).read_bytes() == BODY
    assert [wanted for wanted, _ in server.ranges] == [None, f"bytes={KEPT}-", None]


def leave_part(server, name, cache, content, mark):
    """Leave what an attempt that was killed leaves."""
    target = download_path(f"http://127.0.0.1:{server.server_port}/{name}", cache)
    target.with_name(f"{target.name}.part").write_bytes(content)
    target.with_name(f"{target.name}.part.of").write_text(mark)


def test_a_part_of_a_file_that_changed_is_thrown_away(server, tmp_path):
    leave_part(server, "whole", tmp_path, b"of another file", '"zero"')
    assert get(server, "whole", tmp_path).read_bytes() == BODY
    assert server.ranges == [("bytes=15-", '"zero"')]
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize("content", [BODY[:-4] + b"xxxx", b"x" * 10])
def test_a_wrong_part_of_the_same_file_is_found_out_and_deleted(server, tmp_path, content):
    leave_part(server, "whole", tmp_path, content, '"one"')
    if len(content) < SIZE:
        with pytest.raises(DataError, match="another file"):
            get(server, "whole", tmp_path)
        assert files(tmp_path) == []
    # The server has nothing to add to a part that is as long as its file.
    assert get(server, "whole", tmp_path).read_bytes() == BODY
    assert server.ranges[-1] == (None, None)


def test_a_part_larger_than_allowed_is_thrown_away(server, tmp_path):
    leave_part(server, "whole", tmp_path, b"x" * (SIZE + 1), '"one"')
    assert get(server, "whole", tmp_path).read_bytes() == BODY
    assert server.ranges == [(None, None)]


def test_the_limit_counts_what_was_there_before(server, tmp_path):
    leave_part(server, "whole", tmp_path, BODY[:1_000], '"one"')
    with pytest.raises(DataError, match=f"larger than the {SIZE - 1} bytes"):
        get(server, "whole", tmp_path, size_limit=SIZE - 1)
    assert files(tmp_path) == []


def test_a_file_that_disappears_meanwhile(server, tmp_path):
    with pytest.raises(DataError, match="answered 404"):
        get(server, "gone", tmp_path)
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "name", ["drips-body", "drips-chunks", "drips-headers", "drips-redirected"]
)
def test_a_server_that_drips_is_given_up(server, tmp_path, monkeypatch, name):
    before = set(threading.enumerate())
    monkeypatch.setattr(module, "WINDOW_S", 0.2)
    with pytest.raises(DataError, match=r"less than 60,000 bytes came in 0\.2 s"):
        get(server, name, tmp_path)
    assert len(server.asked) == 1
    left = {path: path.read_bytes() for path in tmp_path.glob("*") if path.is_file()}
    # What comes afterwards is not for us: another process may be writing to the files.
    server.over.set()
    for thread in set(threading.enumerate()) - before:
        if thread.name == THREAD:
            thread.join()
    assert {path: path.read_bytes() for path in tmp_path.glob("*") if path.is_file()} == left
    assert get(server, "whole", tmp_path).read_bytes() == BODY


@pytest.mark.parametrize("name", ["length-of-letters", "negative-length", "endless-length"])
def test_a_length_that_is_no_number_is_passed_over(server, tmp_path, name):
    assert get(server, name, tmp_path).read_bytes() == BODY


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("length-too-short", "broke off"),
        ("no-content", "answered 204"),
        ("redirected-nowhere", "answered 302"),
        ("redirected-to-no-address", "broke off"),
        ("redirected-to-bytes", "broke off"),
    ],
)
def test_an_answer_that_makes_no_sense_is_a_failed_download(server, tmp_path, name, reason):
    with pytest.raises(DataError, match=rf"/{name} could not be downloaded: .*{reason}"):
        get(server, name, tmp_path)
    assert files(tmp_path) == []


def test_a_mark_that_cannot_be_sent_back_is_none(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RETRY_WAITS", ())
    server.validators = {"Last-Modified": "\xa0yesterday"}
    with pytest.raises(DataError, match="Nothing was kept"):
        get(server, "cut", tmp_path)


def test_a_full_disk(server, tmp_path, monkeypatch):
    def write(self, chunk):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module._Part, "write", write)
    with pytest.raises(DataError, match=r"disk is full.*Nothing was kept"):
        get(server, "whole", tmp_path)
    assert files(tmp_path) == []


def test_an_interrupt_leaves_a_part_to_go_on_from(server, tmp_path, monkeypatch):
    def write(self, chunk):
        self.file.write(chunk[:10])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module._Part, "write", write)
        with pytest.raises(KeyboardInterrupt):
            get(server, "whole", tmp_path)
    assert sorted(path.rpartition("whole")[2] for path in files(tmp_path)) == [".part", ".part.of"]
    assert get(server, "whole", tmp_path).read_bytes() == BODY
    assert server.ranges[1] == ("bytes=10-", '"one"')


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


@pytest.mark.parametrize(("name", "requests"), [("whole", 1), ("cut-once", 2)])
def test_two_processes_share_one_download(server, tmp_path, name, requests):
    context = multiprocessing.get_context("spawn")
    url = f"http://127.0.0.1:{server.server_port}/{name}"
    with context.Pool(2) as pool:
        arguments = {"size_limit": len(BODY), "cache": tmp_path, "progress": False}
        waiting = [pool.apply_async(fetch, (url, SHA), arguments) for _ in range(4)]
        paths = {result.get() for result in waiting}
        pool.close()
        pool.join()
    assert [path.read_bytes() for path in paths] == [BODY]
    assert server.asked == [f"/{name}"] * requests
    assert len(files(tmp_path)) == 1


def test_the_cache_folder_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("RECREPRO_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("RECREPRO_CACHE")
    assert cache_folder().name == "recrepro"

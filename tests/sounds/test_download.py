"""Downloads against a local server that can break off, ignore ranges, lie and redirect."""

import functools
import hashlib
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ssl_jax import archives, download
from ssl_jax.common.errors import InputError
from ssl_jax.sounds.download import Source, download_all
from support.made_archives import BAD, GOOD, KINDS, MAX_BYTES, NINE, make_zip, names

BODY = bytes(range(256)) * 20_000  # 5 MB: several pieces
MD5 = "md5:" + hashlib.md5(BODY).hexdigest()


class Server:
    """What it serves, how it misbehaves, and the Range headers it was asked with."""

    def __init__(self):
        self.files, self.ranges, self.cuts = {}, [], []
        self.etag, self.know_ranges, self.length_off, self.redirect, self.status = '"v1"', True, 0, {}, {}
        self.say_length, self.range_off, self.drip, self.stalls = True, 0, 0, []
        handler = functools.partial(Handler, self)
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # a client that hangs up is part of the plan
        self.thread = threading.Thread(target=functools.partial(self.http.serve_forever, 0.01), daemon=True)
        self.thread.start()

    def url(self, name):
        return f"http://127.0.0.1:{self.http.server_address[1]}/{name}"

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


class Handler(BaseHTTPRequestHandler):
    def __init__(self, server, *args):
        self.plan = server
        super().__init__(*args)

    def log_message(self, *args):
        pass

    def do_GET(self):
        plan, name = self.plan, self.path[1:]
        plan.ranges.append(self.headers["Range"])
        if name in plan.redirect:
            self.send_response(302)
            self.send_header("Location", plan.redirect[name])
            self.end_headers()
            return
        if plan.status.get(name):
            self.send_error(plan.status[name].pop(0))
            return
        if name not in plan.files:
            self.send_error(404)
            return
        body, start = plan.files[name], 0
        asked = self.headers["Range"]
        if asked and plan.know_ranges and self.headers["If-Range"] in (None, plan.etag):
            start = int(asked.removeprefix("bytes=").rstrip("-")) + plan.range_off
            if start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        if plan.etag:
            self.send_header("ETag", plan.etag)
        if plan.say_length:
            self.send_header("Content-Length", str(len(body) - start + plan.length_off))
        self.end_headers()
        end = plan.cuts.pop(0) if plan.cuts else len(body)
        for at in range(start, end, plan.drip or len(body)):
            self.wfile.write(body[at : min(at + (plan.drip or len(body)), end)])
            time.sleep(0.05 * bool(plan.drip))
        time.sleep(plan.stalls.pop(0) if plan.stalls else 0)  # with the connection left open


@pytest.fixture
def server():
    server = Server()
    server.files["a.bin"] = BODY
    yield server
    server.stop()


def get(server, to, name="a.bin", **fields):
    download_all(to, "dev-clean", [Source(server.url(name), fields.pop("file", name), **fields)], wait=0.001)


@pytest.mark.parametrize("checksum", ["", MD5, "sha256:" + hashlib.sha256(BODY).hexdigest().upper()])
@pytest.mark.parametrize("say_length", [True, False])
def test_a_plain_download_checksum_agrees_and_alone(server, tmp_path, checksum, say_length):
    server.say_length = say_length
    get(server, tmp_path, file="sub/b.bin", checksum=checksum)
    assert (tmp_path / "sub/b.bin").read_bytes() == BODY
    assert names(tmp_path) == ["sub", "sub/b.bin"]
    get(server, tmp_path, file="sub/b.bin")
    assert server.ranges == [None]  # what is there is not fetched again


def test_a_cut_connection_is_gone_on_with(server, tmp_path):
    server.cuts = [1_500_000, 3_000_000]
    get(server, tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert server.ranges == [None, "bytes=1500000-", "bytes=3000000-"]


def test_a_later_run_goes_on_and_a_part_never_counts_as_whole(server, tmp_path):
    server.cuts = [700_000] * 4  # no attempt gets further
    with pytest.raises(InputError, match=r"a\.bin: broke off after 700000 of 5120000 bytes, 4 attempts"):
        get(server, tmp_path)
    assert names(tmp_path) == ["a.bin.part", "a.bin.part.etag"]
    get(server, tmp_path)
    assert server.ranges[-1] == "bytes=700000-" and (tmp_path / "a.bin").read_bytes() == BODY
    assert names(tmp_path) == ["a.bin"]


def test_attempts_that_bring_much_do_not_count_as_failed(server, tmp_path):
    server.cuts = [n * 2**20 for n in (1, 2, 3, 4)] + [4 * 2**20 + 5] * 2
    get(server, tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == BODY and len(server.ranges) == 7


@pytest.mark.parametrize("change", ["no ranges", "changed", "no validator"])
def test_what_cannot_be_gone_on_with_starts_again(server, tmp_path, change):
    if change == "no validator":
        server.etag = ""
    server.cuts = [700_000] * 4
    with pytest.raises(InputError):
        get(server, tmp_path)
    if change == "no ranges":
        server.know_ranges = False
    if change == "changed":
        server.etag, server.files["a.bin"] = '"v2"', BODY[::-1]
    get(server, tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == server.files["a.bin"]


def test_a_checksum_stands_in_for_a_validator(server, tmp_path):
    server.etag = ""
    (tmp_path / "a.bin.part").write_bytes(BODY[:1000])
    get(server, tmp_path, checksum=MD5)
    assert server.ranges == ["bytes=1000-"] and (tmp_path / "a.bin").read_bytes() == BODY


def test_a_part_that_is_already_whole_is_kept(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(BODY)
    get(server, tmp_path, checksum=MD5)
    assert server.ranges == [f"bytes={len(BODY)}-"] and names(tmp_path) == ["a.bin"]


def test_another_range_than_asked_for_is_not_appended(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(BODY[:1000])
    server.range_off = 256
    get(server, tmp_path, checksum=MD5)
    assert server.ranges == ["bytes=1000-", None] and (tmp_path / "a.bin").read_bytes() == BODY


def test_a_part_longer_than_the_file_is_dropped(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(BODY + b"more")
    get(server, tmp_path, checksum=MD5)
    assert server.ranges[-1] is None and (tmp_path / "a.bin").read_bytes() == BODY


def test_a_wrong_checksum_deletes_the_part(server, tmp_path):
    server.files["a.bin"] = BODY[:-1] + b"!"
    with pytest.raises(InputError, match=r"a\.bin: md5 is .*, not .*run the same command again"):
        get(server, tmp_path, checksum=MD5)
    assert names(tmp_path) == []


def test_a_length_that_never_comes_is_no_whole_file(server, tmp_path):
    server.length_off, server.know_ranges = 10, False
    with pytest.raises(InputError, match="broke off after 5120000 of 5120010 bytes"):
        get(server, tmp_path)
    assert not (tmp_path / "a.bin").exists()


@pytest.mark.parametrize("say_length", [True, False])
def test_too_large_a_file_is_refused(server, tmp_path, say_length):
    server.say_length = say_length
    with pytest.raises(InputError, match="5120000 bytes, over|over 2000000 bytes"):
        get(server, tmp_path, max_bytes=2_000_000)
    assert names(tmp_path) == []


def test_an_endless_file_is_not_read_to_its_end(server, tmp_path, monkeypatch):
    server.say_length, sent = False, []
    monkeypatch.setattr(download, "_pieces", lambda _: (sent.append(1) or b"x" * 1000 for _ in range(1000)))
    with pytest.raises(InputError, match="over 5000 bytes"):
        get(server, tmp_path, max_bytes=5_000)
    assert len(sent) == 6 and names(tmp_path) == []


def test_an_empty_file_is_refused(server, tmp_path):
    server.files["a.bin"] = b""
    with pytest.raises(InputError, match="empty"):
        get(server, tmp_path)
    assert names(tmp_path) == []


def test_404_says_so_at_once(server, tmp_path):
    with pytest.raises(InputError, match=r"nowhere: the server answers 404 Not Found: get it by hand"):
        get(server, tmp_path, "nowhere")
    assert len(server.ranges) == 1 and names(tmp_path) == []


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.status["a.bin"] = [503, 429]
    get(server, tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == BODY and len(server.ranges) == 3


def test_a_slow_server_is_waited_for(server, tmp_path, monkeypatch):
    """Longer in all than the time without a sign of life that counts as a lost connection."""
    monkeypatch.setattr(download, "TIMEOUT", 0.4)
    server.drip = len(BODY) // 12
    get(server, tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == BODY and server.ranges == [None]


def test_a_server_that_falls_silent_is_asked_to_go_on(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    server.cuts, server.stalls = [download.PIECE + 7], [1.0]
    get(server, tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == BODY and server.ranges[1].startswith("bytes=")
    assert "the connection was lost (timed out): trying again" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_redirect_to_another_host(server, tmp_path, host):
    other = Server()
    try:
        other.files["a.bin"] = BODY
        server.redirect["here"] = other.url("a.bin").replace("127.0.0.1", host)
        get(server, tmp_path, "here")
    finally:
        other.stop()
    assert (tmp_path / "here").read_bytes() == BODY


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a", "data:,x", "/here"])
def test_redirects_elsewhere_are_refused(server, tmp_path, target):
    server.redirect["here"] = target
    with pytest.raises(InputError, match="redirects") as error:
        get(server, tmp_path, "here")
    assert "\n" not in str(error.value) and names(tmp_path) == []


@pytest.mark.parametrize(
    "new, checksum, allowed",
    [
        ("http://example.org/a", True, True),
        ("http://example.org/a", False, False),
        ("https://example.org/a", False, True),
        ("file:///etc/passwd", True, False),
    ],
)
def test_redirects_from_https(new, checksum, allowed):
    request = download.urllib.request.Request("https://example.org/")
    redirects = download._Redirects(checksum)
    if allowed:
        assert redirects.redirect_request(request, None, 302, "", {}, new).full_url == new
    else:
        with pytest.raises(InputError, match="redirects"):
            redirects.redirect_request(request, None, 302, "", {}, new)


def test_no_network_is_one_line(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/a"
    with pytest.raises(InputError, match=r"cannot be reached \(.*refused.*check the network") as error:
        download_all(tmp_path, "", [Source(url, "a")], wait=0.001)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "nonsense", "http://[broken"])
def test_other_addresses_are_refused(tmp_path, url):
    with pytest.raises(InputError):
        download_all(tmp_path, "", [Source(url, "a")], wait=0.001)
    assert names(tmp_path) == []


def test_a_file_where_the_folder_should_be(server, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="taken"):
        get(server, tmp_path / "taken")


@pytest.mark.parametrize("file, make", KINDS)
def test_an_archive_becomes_its_folder(server, tmp_path, file, make):
    server.files[file] = make(GOOD)
    (tmp_path / f".{file}.unpacked").mkdir()
    (tmp_path / f".{file}.unpacked/left-over").write_text("of an interrupted run")
    get(server, tmp_path, file, extract_to="far/goal", inside="top")
    assert names(tmp_path) == [
        "far",
        "far/goal",
        "far/goal/a.txt",
        "far/goal/deep",
        "far/goal/deep/er",
        "far/goal/deep/er/b.txt",
    ]
    assert (tmp_path / "far/goal/deep/er/b.txt").read_text() == "beta"
    get(server, tmp_path, file, extract_to="far/goal", inside="top")
    assert len(server.ranges) == 1


@pytest.mark.parametrize("file, make", KINDS)
def test_large_things_show_progress(server, tmp_path, monkeypatch, capsys, file, make):
    shown = []

    def track(items, label, total, done=0):
        shown.append([label, total, done])
        for item in items:
            yield item
            shown[-1][2] += 1

    for module in (archives, download):
        monkeypatch.setattr(module, "track", track)
        monkeypatch.setattr(module, "SHOW_FROM", 0)
    noise = [hashlib.shake_256(bytes([k])).digest(2**20) for k in range(4)]
    server.files[file] = make([(f"top/{k}", content) for k, content in enumerate(noise)])
    server.cuts = [2_000_000]
    get(server, tmp_path, file, extract_to="goal", inside="top")
    assert [(tmp_path / f"goal/{k}").read_bytes() for k in range(4)] == noise
    assert "trying again" in capsys.readouterr().err
    assert [label for label, *_ in shown] == [f"{file} (MiB)"] * 2 + [f"unpacking {file} (MiB)"]
    assert all(total - 2 <= done <= total for _, total, done in shown[1:])  # the first was cut


@pytest.mark.parametrize("case", BAD)
def test_bad_archives_leave_nothing(server, tmp_path, case):
    file, server.files[file], hint = BAD[case]
    to = tmp_path / "data"
    with pytest.raises(InputError, match=f"what arrived is not right .*{hint}") as error:
        get(server, to, file, extract_to="goal", inside="top", max_bytes=MAX_BYTES // 3)
    assert "\n" not in str(error.value)
    assert names(tmp_path) == ["data"]


@pytest.mark.parametrize("file, make", KINDS)
@pytest.mark.parametrize("fault, hint", [("other folder", "no folder top"), ("member count", "over 8 files")])
def test_archives_of_other_contents_leave_nothing(server, tmp_path, monkeypatch, file, make, fault, hint):
    if fault == "member count":
        monkeypatch.setattr(archives, "MAX_MEMBERS", 8)
    server.files[file] = make([("other/a", b"x")] if fault == "other folder" else NINE)
    with pytest.raises(InputError, match=f"not right .*{hint}"):
        get(server, tmp_path, file, extract_to="goal", inside="top")
    assert names(tmp_path) == []


def test_what_its_check_refuses_is_deleted(server, tmp_path):
    with pytest.raises(InputError, match=r"not right \(not a readable SOFA"):
        get(server, tmp_path, check=download.read_sofa)
    assert names(tmp_path) == []


@pytest.mark.parametrize("rows, fits", [(["a.wav"], True), (["a.wav", "b.wav"], False)])
def test_every_row_of_esc50_needs_its_file(server, tmp_path, rows, fits):
    table = "filename,esc10\n" + "".join(f"{row},True\n" for row in rows)
    server.files["x.zip"] = make_zip(
        [("ESC-50-master/meta/esc50.csv", table.encode()), ("ESC-50-master/audio/a.wav", b"sound")]
    )
    esc50 = next(s for s in download.published_sources("dev-clean") if s.extract_to == "ESC-50")
    fetch = functools.partial(
        get, server, tmp_path, "x.zip", extract_to="ESC-50", inside=esc50.inside, check=esc50.check
    )
    if fits:
        fetch()
        assert (tmp_path / "ESC-50/audio/a.wav").read_bytes() == b"sound"
    else:
        with pytest.raises(InputError, match=r"b\.wav"):
            fetch()
        assert names(tmp_path) == []


@pytest.mark.parametrize("subset", ["train-clean-100", "dev-clean"])
def test_published_sources(subset):
    sources = download.published_sources(subset)
    assert len(sources) == 22 and len({source.file for source in sources}) == 22
    assert all(source.url.startswith("https://") for source in sources)
    assert sources[-1].extract_to == f"LibriSpeech/{subset}" and sources[-1].checksum.startswith("md5:")
    assert sources[0].file == "cipic/subject_003.sofa"


def test_an_unknown_subset_names_the_known_ones(tmp_path):
    with pytest.raises(InputError, match="train-clean-100, dev-clean"):
        download_all(tmp_path, "test-other")

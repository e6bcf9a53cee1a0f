"""Downloads against a local server that can break off, ignore ranges, lie and redirect."""

import hashlib
import re
import threading
import time
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ssl_jax.common import progress
from ssl_jax.common.errors import InputError
from ssl_jax.sounds import archives, download
from support.made_archives import BAD, GOOD, KINDS, MAX_BYTES, make_zip, names
from support.runs import free_address, refuses

BODY = bytes(range(256)) * 20_000  # 5 MB: several pieces
MD5 = "md5:" + hashlib.md5(BODY).hexdigest()
SHA256 = "sha256:" + hashlib.sha256(BODY).hexdigest().upper()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        plan, body, asked, start = (
            self.server,
            self.server.files.get(self.path[1:]),
            self.headers["Range"],
            0,
        )
        number = len(plan.asked)
        plan.asked.append(asked and int(asked.removeprefix("bytes=").removesuffix("-")))
        if number < len(plan.status) or body is None:
            return self.send_error(404 if body is None else plan.status[number])
        if isinstance(body, str):
            self.send_response(302)
            self.send_header("Location", body.format(port=plan.server_address[1]))
            return self.end_headers()
        if asked and plan.know_ranges:
            start = plan.asked[-1] + plan.range_off
            if start >= len(body):
                return self.send_error(416)
        self.send_response(206 if start else 200)
        if plan.say_length:
            self.send_header("Content-Length", str(len(body) - start + plan.length_off))
        self.end_headers()
        end = plan.cuts[number] if number < len(plan.cuts) else len(body)
        for at in range(start, end, plan.drip):
            self.wfile.write(body[at : min(at + plan.drip, end)])
            time.sleep(0.05 * (plan.drip < len(body)))
        time.sleep(plan.silence if end < len(body) else 0)  # with the connection left open


@pytest.fixture
def server():
    """What it serves (a text is a redirect), how it misbehaves, and from which bytes on it was asked."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads, server.handle_error = True, lambda *_: None  # a client may hang up
        server.files, server.asked, server.status, server.cuts = {"a.bin": BODY}, [], [], []
        server.drip, server.silence = 2**24, 0  # bytes in 50 ms, s before it hangs up
        server.know_ranges, server.say_length, server.length_off, server.range_off = (
            True,
            True,
            0,
            0,
        )
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def get(server, to, file="a.bin", **fields):
    source = download.Source(f"http://127.0.0.1:{server.server_address[1]}/a.bin", file, **fields)
    download.download_all(to, [source], wait=0.001)


def refused(says, server, to, left=(), **fields):
    """The download ends in one line that says `says`, and leaves no file but `left`."""
    refuses(says, get, server, to, **fields)
    assert names(to) == list(left)


CUTS = [1_500_000, 3_000_000]
MUCH = [
    2**20,
    2**21,
    3 * 2**20,
    2**22,
    2**22 + 5,
    2**22 + 5,
]  # attempts that bring a piece are not counted
ELSEWHERE = {"a.bin": "http://localhost:{port}/b.bin", "b.bin": BODY}
ARRIVES = {  # faults of the server, bytes of a part that is there, checksum, bytes asked for
    "at once": ({}, 0, SHA256, [None]),
    "no length": (dict(say_length=False), 0, "", [None]),
    "cut": (dict(cuts=CUTS), 0, MD5, [None, *CUTS]),
    "cut, no checksum": (dict(cuts=CUTS), 0, "", [None] * 3),
    "many cuts": (dict(cuts=MUCH), 0, MD5, [None, *MUCH]),
    "a part": ({}, 1000, MD5, [1000]),
    "a whole part": ({}, len(BODY), MD5, [len(BODY)]),
    "no ranges": (dict(know_ranges=False), 1000, MD5, [1000]),
    "busy": (dict(status=[503, 429]), 0, "", [None] * 3),
    "another host": (dict(files=ELSEWHERE), 1000, MD5, [1000, 1000]),
    "slow": (
        dict(drip=len(BODY) // 12),
        0,
        "",
        [None],
    ),  # longer than TIMEOUT in all, but never silent
    "silent": (dict(cuts=[2**20 + 7], silence=1.0), 0, MD5, [None, 2**20]),
}


@pytest.mark.parametrize("case", ARRIVES)
def test_what_arrives_in_the_end(server, tmp_path, monkeypatch, capsys, case):
    faults, part, checksum, asked = ARRIVES[case]
    vars(server).update(faults)
    if case in ("slow", "silent"):
        monkeypatch.setattr(download, "TIMEOUT", 0.4)
    if part:
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub/b.bin.part").write_bytes(BODY[:part])
    for _ in range(2):  # what is there is not fetched again
        get(server, tmp_path, file="sub/b.bin", checksum=checksum)
        assert names(tmp_path) == ["sub", "sub/b.bin"] and server.asked == asked
        assert (tmp_path / "sub/b.bin").read_bytes() == BODY
    assert ("lost (timed out): trying again" in capsys.readouterr().err) == (case == "silent")


@pytest.mark.parametrize("checksum, again", [(MD5, 700_000), ("", None)])
def test_a_part_never_counts_as_whole_and_a_later_run_makes_it_so(
    server, tmp_path, checksum, again
):
    server.cuts = [700_000] * 4  # no attempt gets further
    says = "broke off after 700000 of 5120000 bytes, 4 attempts"
    refused(says, server, tmp_path, ["a.bin.part"], checksum=checksum)
    if not checksum:
        server.files["a.bin"] = BODY[::-1]  # replaced meanwhile: no piece of the old one may stay
    get(server, tmp_path, checksum=checksum)
    assert server.asked[-1] == again and names(tmp_path) == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == server.files["a.bin"]


WRONG = r"a\.bin: md5 is .*, not .*run the same command again"
GOAL = dict(file="x.zip", extract_to="goal", inside="top")
REFUSED = {  # faults of the server, fields of the source, what the message says
    "length": (dict(length_off=10), {}, "broke off after 5120000 of 5120010 bytes"),
    "too large": ({}, dict(max_bytes=2_000_000), "announces 5120000 bytes, over"),
    "too large, unsaid": (
        dict(say_length=False),
        dict(max_bytes=2_000_000),
        "sent over 2000000 bytes",
    ),
    "empty": (dict(files={"a.bin": b""}), {}, "empty"),
    "nowhere": (dict(files={}), {}, "a.bin: the server answers 404 Not Found: get it by hand"),
    "a part of another": (dict(part=BODY[1:1000]), dict(checksum=MD5), WRONG),
    "another range": (dict(part=BODY[:1000], range_off=256), dict(checksum=MD5), WRONG),
    "a part too long": (dict(part=BODY + b"more"), dict(checksum=MD5), WRONG),
    "its check": ({}, dict(check=download.read_sofa), r"not right \(not a readable SOFA"),
    "other folder": (
        dict(files={"a.bin": make_zip([("other/a", b"x")])}),
        GOAL,
        "not right .*no folder top",
    ),
}
for target in ("file:///etc/passwd", "ftp://127.0.0.1/a", "data:,x", "/a.bin"):
    REFUSED[target] = (dict(files={"a.bin": target}), {}, "redirects")
for case in ("up x.tar.gz", "bomb x.zip", "cut x.tar.gz"):  # test_archives.py has them all
    file, content, hint = BAD[case]
    fields = GOAL | dict(file=file, max_bytes=MAX_BYTES // 3)  # three times that when unpacked
    REFUSED[case] = (dict(files={"a.bin": content}), fields, f"what arrived is not right .*{hint}")


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_leaves_nothing(server, tmp_path, monkeypatch, capsys, case):
    faults, fields, says = REFUSED[case]
    vars(server).update(faults)
    if "part" in faults:
        (tmp_path / "a.bin.part").write_bytes(faults["part"])
    read, pieces = [], download._pieces
    monkeypatch.setattr(
        download, "_pieces", lambda *args: (read.append(x) or x for x in pieces(*args))
    )
    left = ["a.bin.part"] if case == "length" else []
    refused(says, server, tmp_path, left, **fields)
    assert ("trying again" in capsys.readouterr().err) == bool(left)  # the others at once
    assert not case.startswith("too large") or len(read) <= 2  # it may be endless


def test_a_redirect_from_https_to_http_needs_a_checksum():
    request = download.urllib.request.Request("https://a.org/")
    for safe, scheme in (
        (True, "http"),
        (True, "https"),
        (False, "https"),
        (True, "file"),
        (False, "http"),
    ):
        allowed = scheme == "https" or (safe and scheme == "http")
        with nullcontext() if allowed else pytest.raises(InputError, match="redirects"):
            new = f"{scheme}://b.org/"
            assert (
                download._Redirects(safe).redirect_request(request, None, 302, "", {}, new).full_url
                == new
            )


def test_addresses_where_nothing_is_are_refused_in_one_line(server, tmp_path):
    closed = f"http://{free_address()}/a"
    says = {
        closed: r"cannot be reached \(.*refused.*check the network",
        "http://[broken": "not a valid",
    }
    says |= dict.fromkeys(
        ("file:///etc/passwd", "ftp://127.0.0.1/x", "nonsense"), "neither http nor https"
    )
    for url in says:
        refuses(says[url], download.download_all, tmp_path, [download.Source(url, "a")], wait=0.001)
        assert names(tmp_path) == []
    (tmp_path / "taken").write_text("")
    refuses("taken: a file stands where a folder is needed", get, server, tmp_path / "taken")


@pytest.mark.parametrize("file, make", KINDS)
def test_an_archive_becomes_its_folder(server, tmp_path, monkeypatch, capsys, file, make):
    server.files["a.bin"] = make(GOOD)
    (tmp_path / f".{file}.unpacked").mkdir()
    (tmp_path / f".{file}.unpacked/left-over").write_text("of an interrupted run")
    for _ in range(2):  # the second time it is there
        get(server, tmp_path, file, extract_to="far/goal", inside="top")
        inside = ["", "/a.txt", "/deep", "/deep/er", "/deep/er/b.txt"]
        assert names(tmp_path) == ["far", *(f"far/goal{name}" for name in inside)]
        assert (tmp_path / "far/goal/deep/er/b.txt").read_text() == "beta" and len(
            server.asked
        ) == 1
    assert "(MiB)" not in capsys.readouterr().err
    for module in (archives, download):
        monkeypatch.setattr(module, "SHOW_FROM", 0)
    monkeypatch.setattr(progress, "LINE_SECONDS", -1)
    monkeypatch.setattr(progress, "verbosity", 1)
    noise = [(f"top/{k}", hashlib.shake_256(bytes([k])).digest(2**20)) for k in range(4)]
    server.files["a.bin"] = make(noise)
    get(server, tmp_path, file, extract_to="large", inside="top")
    shown = dict(
        re.findall(r"(?m)^(.*) \(MiB\): (\d)/5, ", capsys.readouterr().err)
    )  # the last line of each
    assert list(shown) == [file, f"unpacking {file}"] and all(
        int(done) > 2 for done in shown.values()
    )


def test_published_sources(server, tmp_path):
    for subset in ("train-clean-100", "dev-clean"):
        *_, esc50, speech = sources = download.published_sources(subset)
        assert len(sources) == 22 and len({source.file for source in sources}) == 22
        assert all(source.url.startswith("https://") for source in sources)
        assert speech.extract_to == f"LibriSpeech/{subset}" and speech.checksum.startswith("md5:")
    assert sources[0].file == "cipic/subject_003.sofa"
    refuses("train-clean-100, dev-clean", download.published_sources, "test-other")
    more = {source.file for source in download.published_sources("dev-clean", "all")}
    heads = more - {source.file for source in sources}
    assert len(heads) == 25 and "cipic/subject_165.sofa" in heads
    # every row of ESC-50's table needs its file
    fields = dict(file="x.zip", extract_to="ESC-50", inside=esc50.inside, check=esc50.check)
    sound, table = ("ESC-50-master/audio/a.wav", b"sound"), b"filename,esc10\na.wav,True\n"
    server.files["a.bin"] = make_zip(
        [("ESC-50-master/meta/esc50.csv", table + b"b.wav,True\n"), sound]
    )
    refused(r"b\.wav", server, tmp_path, **fields)
    server.files["a.bin"] = make_zip([("ESC-50-master/meta/esc50.csv", table), sound])
    get(server, tmp_path, **fields)
    assert (tmp_path / "ESC-50/audio/a.wav").read_bytes() == b"sound"

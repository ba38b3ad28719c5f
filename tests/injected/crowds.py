"""Eight processes at once: on one entry of the cache, on many, on a damaged one, in one folder."""

import contextlib
import hashlib
import http.server
import multiprocessing
import os
import pathlib
import tempfile
import threading

from running import Damaged, leftovers

_PROCESSES = 8
_SECONDS = 120
_CONTENTS = [bytes([number]) * 10**6 for number in range(_PROCESSES)]
_LENT = []
_CONTEXT = multiprocessing.get_context("fork")


def same(folder):
    """One address: each gets the file."""
    with _server() as address:
        _download(address, [0] * _PROCESSES)
    return "each got the file"


def different(folder):
    """An address each."""
    with _server() as address:
        _download(address, range(_PROCESSES))
    return "each got its own file"


def corrupted(folder):
    """One address whose file in the cache has a flipped bit, an old time, or half its length."""
    with _server() as address:
        for damage in (_flip, _flip_in_silence, _halve, _forget):
            (path,) = set(_download(address, [0])) - {None}
            damage(pathlib.Path(path))
            _download(address, [0] * _PROCESSES)
    return "each got the right file, after each of 4 damages"


def pictures(folder):
    """`kerasvit saliency` into one folder: whole files, and a manifest of what is there."""
    from writing.tables import of_run

    write, check = of_run()
    _LENT.append(write)  # what a process forks with needs no pickle
    out = folder / "out"
    answers = _crowd(_told, [(out,)] * _PROCESSES)
    check(out)
    drawn = sum(answer == "drawn" for answer in answers)
    others = {answer for answer in answers if answer != "drawn"}
    if not drawn or any("code 5" not in answer and "code 2" not in answer for answer in others):
        raise Damaged(f"{drawn} drew, others: {others}")
    write(out)
    check(out)
    if leftovers(out):
        raise Damaged(f"left behind: {leftovers(out)}")
    return f"{drawn} of {_PROCESSES} drew, the others were told in a line; all files whole"


CROWDS = {function.__name__: function for function in (same, different, corrupted, pictures)}


def gather(name):
    """Let eight processes loose; return what to say of them."""
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        cache = folder / "cache"
        (folder / "scratch").mkdir()
        os.environ |= {"KERASVIT_CACHE": str(cache), "TMPDIR": str(folder / "scratch")}
        # The server of these is on this machine.
        for variable in ("KERASVIT_OFFLINE", "HF_HUB_OFFLINE"):
            os.environ.pop(variable, None)
        os.environ["no_proxy"] = "*"
        tempfile.tempdir = None
        text = CROWDS[name](folder)
        if cache.exists() and leftovers(cache):
            raise Damaged(f"left behind in the cache: {leftovers(cache)}")
        return text


def _crowd(function, arguments):
    """Call a function in a process for each of some arguments, all at once."""
    start = _CONTEXT.Barrier(len(arguments))
    with _CONTEXT.Pool(len(arguments), initializer=start.wait) as pool:
        results = [pool.apply_async(function, each) for each in arguments]
        return [result.get(_SECONDS) for result in results]


def _download(address, numbers):
    """Download files, each by a process; return where they are."""
    numbers = list(numbers)
    paths = _crowd(_fetch, [(f"{address}/{number}.npz", number) for number in numbers])
    for path, number in zip(paths, numbers, strict=True):
        if pathlib.Path(path).read_bytes() != _CONTENTS[number]:
            raise Damaged(f"{path} holds other bytes")
    return paths


def _fetch(url, number):
    from kerasvit.conversion.sources import remote

    # Whether it is a checkpoint is another matter.
    remote._check_whole = lambda path, url: None
    path = remote.download(url, hashlib.sha256(_CONTENTS[number]).hexdigest())
    if path.read_bytes() != _CONTENTS[number]:
        raise Damaged(f"{url} gave other bytes")
    return str(path)


def _told(out):
    try:
        _LENT[0](out)
    except Exception as error:
        return f"code {getattr(error, 'exit_code', 70)}: {error}"[:300]
    return "drawn"


def _flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _flip_in_silence(path):
    times = path.stat()
    _flip(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _halve(path):
    path.write_bytes(path.read_bytes()[: 10**6 // 2])


def _forget(path):
    (path.parent / "check.json").write_bytes(b"{")


class _Handler(http.server.BaseHTTPRequestHandler):
    """Gives the files in pieces."""

    def do_GET(self):
        data = _CONTENTS[int(self.path.strip("/").partition(".")[0])]
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        with contextlib.suppress(OSError):
            for start in range(0, len(data), 2**16):
                self.wfile.write(data[start : start + 2**16])

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def _server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.request_queue_size = 64
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()

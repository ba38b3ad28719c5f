"""The page of `kerasvit app` under the requests of several clients at once.

A client speaks as the page does: it uploads a picture, waits in Gradio's line, and gets the map.
"""

import io
import json
import os
import re
import secrets
import subprocess
import sys
import threading

import numpy as np
import requests
from PIL import Image
from watching import Memory, check

_PATIENCE = 300


class Client:
    """One visitor.

    Args:
        address: of the page.
        config: what the page consists of.
    """

    def __init__(self, address, config):
        self.api = f"{address.rstrip('/')}{config.get('api_prefix', '')}"
        self.session, self.name = requests.Session(), secrets.token_hex(5)
        self.components = {one["id"]: one for one in config["components"]}
        picture = self._widget("picture")
        self.drawing = next(
            one
            for one in config["dependencies"]
            if one["inputs"][:1] == [picture] and (picture, "change") in map(tuple, one["targets"])
        )

    def _widget(self, name):
        found = (key for key, one in self.components.items() if one["props"].get("elem_id") == name)
        return next(found)

    def draw(self, name, content):
        """Return the picture that the page shows of an upload, or its line of error."""
        answer = self.session.post(f"{self.api}/upload", files={"files": (name, content)})
        answer.raise_for_status()
        upload = {"path": answer.json()[0], "orig_name": name, "meta": {"_type": "gradio.FileData"}}
        values = [self.components[key]["props"].get("value") for key in self.drawing["inputs"]]
        body = {
            "data": [upload, *values[1:]],
            "fn_index": self.drawing["id"],
            "session_hash": self.name,
            "event_data": None,
            "trigger_id": self.drawing["inputs"][0],
        }
        self.session.post(f"{self.api}/queue/join", json=body).raise_for_status()
        problem, shown = self._result()[:2]
        if shown is None:
            return re.sub("<[^>]+>", "", problem["value"])
        content = self.session.get(f"{self.api}/file={shown['path']}").content
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))

    def _result(self):
        line = self.session.get(
            f"{self.api}/queue/data",
            params={"session_hash": self.name},
            stream=True,
            timeout=_PATIENCE,
        )
        with line:
            for text in line.iter_lines():
                message = json.loads(text.removeprefix(b"data:")) if text else {}
                if message.get("msg") == "process_completed":
                    check(message["success"], f"an event failed: {message}")
                    return message["output"]["data"]
        raise AssertionError("the line ended without an answer")


def soak(folder, count, clients):
    """Ask so often; yield what to say of it."""
    temporary = folder / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "kerasvit", "app", "--no-browser", "--port", str(_free_port())]
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONWARNINGS": "ignore"}
    with (folder / "messages").open("w") as messages:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=messages, text=True, env=environment
        )
        try:
            address = re.match(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
            check(address is not None, (folder / "messages").read_text()[-300:])
            tally = Tally(count)
            with Memory(process.pid, lambda: tally.done / count) as memory:
                _ask_all(address[0], clients, tally)
        finally:
            process.terminate()
            process.communicate(timeout=300)
    check(not tally.faults, f"{len(tally.faults)} wrong answers: {tally.faults[:2]}")
    check(tally.done == count, f"{tally.done} answers")
    check("Traceback" not in (folder / "messages").read_text(), "a traceback in the terminal")
    # PyTorch keeps a cache of its own there.
    left = [name for name in os.listdir(temporary) if not name.startswith("torchinductor")]
    check(not left, f"left behind: {left}")
    yield f"{count} requests of {clients} clients, {tally.refused} of bad pictures, all answered"
    yield memory.report()


def _free_port():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Tally:
    """How far the clients are.

    Args:
        count: of the requests in all.
    """

    def __init__(self, count):
        self.count, self.done, self.refused, self.faults = count, 0, 0, []
        self.first = {}
        self._taken, self._lock = 0, threading.Lock()

    def take(self):
        """Return the number of the next request, or None."""
        with self._lock:
            number = self._taken
            self._taken += 1
        return number if number < self.count else None

    def note(self, number, answer):
        """Compare an answer with what it must be: equal pictures give equal maps."""
        with self._lock:
            self.done += 1
            kind = number % len(_PICTURES)
            is_bad = not _PICTURES[kind][1]
            if is_bad != isinstance(answer, str):
                self.faults.append((number, answer))
            elif is_bad:
                self.refused += 1
                if _PICTURES[kind][0] not in answer:
                    self.faults.append((number, answer))
            elif not np.array_equal(self.first.setdefault(kind, answer), answer):
                self.faults.append((number, "another map of the same picture"))


def _ask_all(address, clients, tally):
    config = requests.get(f"{address}config").json()

    def work():
        client = Client(address, config)
        while (number := tally.take()) is not None:
            name, is_good = _PICTURES[number % len(_PICTURES)]
            try:
                content = _encoded(number % len(_PICTURES)) if is_good else b"no picture"
                tally.note(number, client.draw(name, content))
            except Exception as error:
                tally.faults.append((number, repr(error)))

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# A prime number of them, so that each client comes to all.
_PICTURES = [(f"picture{number}.png", True) for number in range(12)] + [("bad.png", False)]


def _encoded(number):
    pixels = np.random.default_rng(number).integers(0, 256, (5, 6, 3), np.uint8)
    size = 60 + 37 * number, 300 - 19 * number
    file = io.BytesIO()
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()

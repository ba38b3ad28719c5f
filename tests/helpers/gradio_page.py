"""The page of `kerasvit app` in a real Chromium: its widgets by their ids."""

import base64
import contextlib
import io
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import numpy as np
from browser import Page
from PIL import Image

# Run in the server's process: what it connects to, beside itself, is written to a file.
_WATCHED = """
import socket, sys
connect = socket.socket.connect
def watched(self, address):
    if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        open({log!r}, "a").write(repr(address) + chr(10))
    return connect(self, address)
socket.socket.connect = watched
from kerasvit.cli import main
sys.exit(main({arguments!r}))
"""


# An element has no value of its own.
_PLAIN = "(value) => (value instanceof Element ? true : value)"


class Server:
    """A running `kerasvit app`."""

    def __init__(self, process, address, seconds, log):
        self.process, self.address, self.seconds, self._log = process, address, seconds, log

    def connections(self):
        """Return what the process connected to, beside this computer."""
        return self._log.read_text() if self._log.exists() else ""


@contextlib.contextmanager
def running_app(folder, *arguments):
    """Run `kerasvit app` in a process of its own until the block ends; then end it."""
    log, temporary = folder / "connections.txt", folder / "temporary"
    temporary.mkdir()
    code = _WATCHED.format(log=str(log), arguments=["app", "--no-browser", *arguments])
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
        env={**os.environ, "TMPDIR": str(temporary), "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        address = re.match(r"http://127\.0\.0\.1:\d+/", line)
        assert address, (line, process.stderr.read())
        yield Server(process, address[0], time.monotonic() - started, log)
    finally:
        # Not Ctrl-C's, which is ignored by what a script started in the background.
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)


class AppPage(Page):
    """One tab with the page of the app."""

    def enter(self, address, width=1200, height=900, mobile=False):
        """Load the page and wait for its widgets."""
        self.events.clear()
        self.set_width(width, height, mobile)
        self.call("Page.navigate", url=address)
        self.wait("document.querySelector('#model input')")

    def set_width(self, width, height, mobile=False):
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=mobile,
        )  # fmt: skip

    def wait(self, expression, seconds=120):
        """Wait until a JavaScript expression is true; return its value."""
        deadline = time.monotonic() + seconds
        while not (value := self.run(f"Promise.resolve({expression}).then({_PLAIN})")):
            assert time.monotonic() < deadline, (
                expression,
                self.text("#problem"),
                self.text("body"),
            )
            time.sleep(0.05)
        return value

    def upload(self, name, path):
        """Give a file to the widget's file input, as a visitor who drops it."""
        selector = f"#{name} input[type=file]"
        self.wait(f"document.querySelector({selector!r})")
        found = self.call("Runtime.evaluate", expression=f"document.querySelector({selector!r})")
        self.call("DOM.setFileInputFiles", files=[str(path)], objectId=found["result"]["objectId"])

    def tap(self, selector, x=0.5, y=0.5):
        """Click on an element at a share of its width and height."""
        self.wait(f"document.querySelector({selector!r})")
        left, top, width, height = self._box(f"document.querySelector({selector!r})")
        self._click(left + x * width, top + y * height)

    def _box(self, element):
        """Return where an element comes to rest: accordions open step by step."""
        before, box = None, []
        while box != before or not box:
            before = box
            box = self.run(
                f"(() => {{ const found = {element};"
                "found.scrollIntoView({block: 'center', behavior: 'instant'});"
                "const box = found.getBoundingClientRect();"
                "return [box.x, box.y, box.width, box.height]; })()"
            )
            time.sleep(0.1)
        return box

    def _click(self, x, y):
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.mouse(kind, x, y)

    def choose(self, name, label):
        """Choose an entry of a dropdown whose text begins so."""
        self.tap(f"#{name} input")
        entry = (
            "[...document.querySelectorAll('ul[role=listbox] li')]"
            f".find((li) => li.textContent.replace('✓', '').trim().startsWith({json.dumps(label)}))"
        )
        self.wait(entry + " !== undefined")
        left, top, width, height = self._box(entry)
        self._click(left + width / 2, top + height / 2)

    def pick(self, name, label):
        """Choose a button of a radio group, or tick a box, by its label."""
        self.wait(f"document.querySelector('#{name} label')")
        self.run(
            f"[...document.querySelectorAll('#{name} label')]"
            f".find((label) => label.textContent.trim() === {json.dumps(label)}).click()"
        )

    def slide(self, name, value):
        """Move a slider as a visitor's hand does."""
        self.wait(f"document.querySelector('#{name} input[type=range]')")
        self.run(
            f"(() => {{ const slider = document.querySelector('#{name} input[type=range]');"
            f"slider.value = {value};"
            "for (const kind of ['input', 'change', 'pointerup'])"
            "slider.dispatchEvent(new Event(kind, {bubbles: true})); })()"
        )

    def opened(self, name):
        """Open an accordion, which may move away from under a pointer while the page grows."""
        button = f"document.querySelector('#{name} button')"
        self.wait(f"{button} && ({button}.classList.contains('open') || ({button}.click(), false))")

    def press(self, name):
        """Press a button wherever it lies."""
        self.wait(f"document.querySelector('#{name}')")
        self.run(f"document.querySelector('#{name}').click()")

    def text(self, selector):
        """Return what an element says, with single blanks."""
        text = self.run(f"document.querySelector({selector!r})?.innerText ?? ''")
        return " ".join(text.split())

    def says(self, selector, text):
        """Wait until an element holds a text."""
        self.wait(
            f"(document.querySelector({selector!r})?.innerText ?? '').replace(/\\s+/g, ' ')"
            f".includes({json.dumps(text)})"
        )

    def source(self, name):
        """Return the address of the picture that a widget shows."""
        return self.run(f"document.querySelector('#{name} img')?.src ?? ''")

    def changed(self, name, before):
        """Wait until a widget shows another picture; return its address."""
        return self.wait(
            f"(() => {{ const now = document.querySelector('#{name} img');"
            f"return now && now.complete && now.naturalWidth && now.src !== {json.dumps(before)}"
            "? now.src : ''; })()"
        )

    def fetched(self, address):
        """Return the bytes at an address, as the page gets them."""
        text = self.run(
            f"fetch({json.dumps(address)}).then((answer) => answer.blob()).then((blob) =>"
            "new Promise((done) => { const reader = new FileReader();"
            "reader.onload = () => done(reader.result); reader.readAsDataURL(blob); }))"
        )
        return base64.b64decode(text.partition(",")[2])

    def pixels(self, name):
        """Return the picture that a widget shows, uint8 (h, w, 3)."""
        content = self.fetched(self.source(name))
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))

    def links(self, name):
        """Return the addresses of the files that a widget offers, by their names."""
        links = self.run(
            f"[...document.querySelectorAll('#{name} a[href]')].map((link) => link.href)"
        )
        return {link.rpartition("/")[2]: link for link in links}

    def whole(self):
        """Return all of the page, also what is below the window, uint8 (h, w, 3)."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        data = self.call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip
        )["data"]
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))

    def save(self, name):
        """Keep a picture of the page where $KERASVIT_SHOTS says, for people to look at."""
        folder = os.environ.get("KERASVIT_SHOTS")
        if folder:
            Image.fromarray(self.whole()).save(pathlib.Path(folder, f"{name}.png"))

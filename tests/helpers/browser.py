"""A real Chromium without a window, driven by its DevTools protocol over two pipes."""

import base64
import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


class Page:
    """One tab. `events` holds what the browser told of it."""

    def __init__(self, to_browser, from_browser):
        self.to_browser, self.from_browser = to_browser, from_browser
        self.last, self.session, self.events = 0, None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Accessibility", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        """Send a command and return its result."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.to_browser.write(json.dumps(message).encode() + b"\0")
        self.to_browser.flush()
        while True:
            answer = self._read()
            if answer.get("id") == self.last:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _read(self):
        message = bytearray()
        while (byte := self.from_browser.read(1)) != b"\0":
            assert byte, "the browser has ended"
            message += byte
        return json.loads(message)

    def run(self, expression):
        """Return the value of a JavaScript expression, awaited."""
        result = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def open(self, path, fragment=""):
        """Load a file in a window of 1000x800 and wait until it has drawn."""
        self.visit(path.as_uri() + fragment)

    def visit(self, address):
        """See `open`; an address of any kind."""
        self.resize(1000, 800)
        self.events.clear()
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)
        self.settle()

    def settle(self, seconds=20):
        """Wait until all that was asked for is drawn."""
        deadline = time.monotonic() + seconds
        ready = "location.protocol !== 'about:' && window.kerasvit?.settled()"
        while not self.run(ready):
            assert time.monotonic() < deadline, self.complaints()
            time.sleep(0.02)

    def resize(self, width, height):
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def prefer(self, scheme):
        """Ask for "light" or "dark"."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def mouse(self, kind, x, y):
        button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    def click(self, x, y):
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)
        self.settle()

    def press(self, key, shift=False):
        held = 8 if shift else 0
        code = {"ArrowUp": 38, "ArrowDown": 40, "ArrowLeft": 37, "ArrowRight": 39, "Tab": 9}
        fields = {"key": key, "modifiers": held, "windowsVirtualKeyCode": code.get(key, 0)}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, **fields)
        self.settle()

    def screenshot(self):
        """Return the window, uint8 (h, w, 3)."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    def addresses(self):
        """Return what the page asked the network for."""
        asked = [event for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in asked]

    def complaints(self):
        """Return errors and warnings of the page."""
        kinds = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
        return [event["params"] for event in self.events if event["method"] in kinds]


def find_chromium():
    """Return a Chromium, that of $KERASVIT_CHROMIUM first, or None."""
    candidates = [os.environ.get("KERASVIT_CHROMIUM", ""), *NAMES]
    return next((found for name in candidates if (found := shutil.which(name))), None)


@contextlib.contextmanager
def running(chromium, profile):
    """Run Chromium; yield the two ends of its pipes."""
    commands, to_browser = os.pipe()
    from_browser, answers = os.pipe()
    flags = [
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
        *("--force-color-profile=srgb", "--hide-scrollbars", "--remote-debugging-pipe"),
    ]
    # The protocol is spoken on descriptors 3 and 4, which only a shell can set by number.
    script = f'exec "$0" "$@" 3<&{commands} 4>&{answers} 2>/dev/null'
    process = subprocess.Popen(
        ["bash", "-c", script, chromium, *flags, f"--user-data-dir={profile}", "about:blank"],
        pass_fds=(commands, answers),
        start_new_session=True,
    )
    os.close(commands)
    os.close(answers)
    try:
        with open(to_browser, "wb") as to_file, open(from_browser, "rb") as from_file:
            yield to_file, from_file
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """The pipes of one Chromium for all tests, or a skip that says what is missing."""
    found = find_chromium()
    if not found:
        pytest.skip("no Chromium: neither one of the usual names on PATH nor KERASVIT_CHROMIUM")
    with running(found, tmp_path_factory.mktemp("profile")) as pipes:
        yield pipes


@pytest.fixture
def page(chromium):
    """A new tab."""
    return Page(*chromium)

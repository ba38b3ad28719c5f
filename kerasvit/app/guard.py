"""What every answer of the page goes through: who may ask, and what a browser may fetch."""

from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse

# The browser itself refuses what is not of this page. Gradio's page holds scripts and styles, and
# makes code of texts.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "connect-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Guard:
    """Answers to this computer's own names alone, so that no page elsewhere can pose as this one.

    A name of another site may be made to lead to 127.0.0.1 (DNS rebinding); its browser then sends
    that name along.

    Args:
        app: what is guarded.
        host: the name that the page is served under.
    """

    def __init__(self, app: Any, host: str) -> None:
        self._app, self._names = app, {*_NAMES, host}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if _name(scope) not in self._names:
            refusal = PlainTextResponse("This page answers to 127.0.0.1 and localhost alone.", 421)
            await refusal(scope, receive, send)
            return

        async def send_guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, send_guarded)


def _name(scope: Any) -> str:
    """Return the name that a request calls the server by, without the port."""
    headers = dict(scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1").lower()
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def guards(host: str) -> list[Middleware]:
    """Return the guard as FastAPI takes it."""
    return [Middleware(Guard, host=host)]

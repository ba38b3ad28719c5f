"""Which addresses files may come from, and how they are shown."""

import ipaddress
import pathlib
import urllib.parse


def is_allowed(url: str) -> bool:
    """Tell whether a file may come from an address.

    That is any https one, and http on this machine itself, where nobody can listen in.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host, place = parts.hostname or "", parts.netloc.rpartition("@")[2]
        _ = parts.port  # Raises for one that is no number.
    except ValueError:
        return False
    if "[" in place and not place.startswith("["):
        return False  # Whatever stands before the bracket, no reader of addresses agrees on it.
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and _is_own(host)))


def may_redirect(url: str, target: str) -> bool:
    """Tell whether a server may send its caller on: never from https to http."""
    is_step_down = url.startswith("https:") and not target.startswith("https:")
    return is_allowed(target) and not is_step_down


def shown(url: str) -> str:
    """Return an address without what may be secret in it: the password and the query."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return "an address that is none"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def file_name(url: str) -> str:
    """Return the last part of an address' path, "file" if it has none."""
    path = urllib.parse.unquote(urllib.parse.urlsplit(url).path)
    return pathlib.PurePosixPath(path.replace("\\", "/")).name or "file"


def _is_own(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""Chromium for the tests of pages."""

from browser import chromium, page  # noqa: F401

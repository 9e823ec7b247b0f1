"""Pages in a real browser; the fixture `browser` is in conftest.py."""

from __future__ import annotations

import time

WIDTHS = (360, 1280)
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def eventually(condition):
    """Poll a condition: a Content-Security-Policy can forbid playwright's own waiting."""
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


class Opened:
    """A page in the browser, with its console messages, errors and requests."""

    def __init__(self, browser, url, **options):
        self.context = browser.new_context(**options)
        self.view = self.context.new_page()
        self.messages, self.requests = [], []
        self.view.on("console", lambda message: self.messages.append(message.text))
        self.view.on("pageerror", lambda error: self.messages.append(str(error)))
        self.view.on("request", lambda request: self.requests.append(request.url))
        self.view.goto(url)

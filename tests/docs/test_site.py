"""The documentation site: built strictly, and read in a browser."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from ..browser import OVERFLOW, WIDTHS, Opened, eventually

pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install '.[docs]'")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGES = ["usage/", "formats/", "results/", "configuration/", "commands/", "api/"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture(scope="module")
def address(site):
    handler = functools.partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def test_the_configuration_has_every_registered_name(site):
    page = (site / "configuration" / "index.html").read_text(encoding="utf-8")
    groups = entry_points()
    names = {
        one.name
        for group in groups.groups
        if group.startswith(("spacy_", "thinc_")) and group != "spacy_cli"
        for one in groups.select(group=group)
        if one.value.startswith("spacy_mner.")
    }
    assert len(names) > 25
    assert {name for name in names if f"<code>{name}</code>" not in page} == set()


def test_the_commands_have_every_option(site):
    page = (site / "commands" / "index.html").read_text(encoding="utf-8")
    for option in ("--images-root", "--allow-urls", "--context-label", "--against", "--from"):
        assert f"<code>{option}" in page


def test_the_links_to_files_of_the_repository_are_pages_or_text(site):
    for page in site.rglob("*.html"):
        links = re.findall(r'href="([^"#:]+\.(?:md|py|cfg|jsonl))"', page.read_text("utf-8"))
        assert links == [], page


@pytest.mark.parametrize("width", WIDTHS)
def test_pages_need_no_other_host_and_do_not_scroll_horizontally(browser, address, width):
    opened = Opened(browser, address, viewport={"width": width, "height": 800})
    for page in PAGES:
        opened.view.goto(address + page)
        assert opened.view.evaluate(OVERFLOW) == 0, page
    assert opened.messages == []
    assert {url for url in opened.requests if not url.startswith((address, "data:"))} == set()
    opened.context.close()


def test_the_search_finds_a_block_of_the_config(browser, address):
    opened = Opened(browser, address, viewport={"width": 1280, "height": 800})
    opened.view.locator("input.md-search__input").click()
    opened.view.keyboard.type("ModalityAttention", delay=20)
    results = opened.view.locator(".md-search-result__list")
    assert eventually(lambda: "configuration" in results.inner_html())
    opened.context.close()

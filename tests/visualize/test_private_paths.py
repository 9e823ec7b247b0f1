from __future__ import annotations

from pathlib import Path

import pytest

from spacy_mner.visualize.private_paths import public_path, redact_folders


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("en_model", "en_model"),
        ("training/model-best", "training/model-best"),
        ("/home/me/model", "model"),
        ("../model", "model"),
        ("~/model", "model"),
    ],
)
def test_only_relative_paths_are_public(path, expected):
    assert public_path(path) == expected


@pytest.mark.parametrize(
    ("image", "root", "allowed", "message", "expected"),
    [
        ("/home/me/a.png", None, None, "no such file: /home/me/a.png", "no such file: a.png"),
        ("/p/d/a.png", None, "/p", "no such file: /p/d/a.png", "no such file: d/a.png"),
        ("d/a.png", "/home/me", None, "unreadable: /home/me/d/a.png", "unreadable: d/a.png"),
        ("/home/" + "x" * 90, None, None, "gone: …" + "x" * 79, "gone: …" + "x" * 79),
        (b"/home", None, None, "not an image", "not an image"),
    ],
)
def test_folders_are_removed_from_messages(image, root, allowed, message, expected):
    root, allowed = root and Path(root), allowed and Path(allowed)
    assert redact_folders(message, image, root, allowed) == expected

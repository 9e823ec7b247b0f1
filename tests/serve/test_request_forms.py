from __future__ import annotations

import asyncio
import time

import pytest
from fastapi import HTTPException

from spacy_mner.serve.request_forms import parse_form

TYPE = "multipart/form-data; boundary=b"
SECRET = b"a private post"


def part(name: bytes, content: bytes, more: bytes = b"") -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="' + name + b'"' + more
    return head + b"\r\n\r\n" + content + b"\r\n"


def file(name: bytes, content: bytes) -> bytes:
    return part(name, content, b'; filename="f"\r\nContent-Type: image/png')


def parse(body: bytes, content_type: str = TYPE, max_parts: int = 10):
    return asyncio.run(parse_form(content_type, body, max_parts))


def error_of(*arguments, **options) -> HTTPException:
    with pytest.raises(HTTPException) as caught:
        parse(*arguments, **options)
    return caught.value


def test_a_form_has_texts_and_files_in_order():
    body = part(b"text", "löwe 🎸".encode()) + file(b"image", b"1\r\n--2") + file(b"image", b"")
    form = parse(body + b"--b--\r\n")
    assert form.fields == {"text": "löwe 🎸"}
    assert form.files == [("image", b"1\r\n--2"), ("image", b"")]


def test_a_large_form_is_that_which_was_sent():
    image = bytes(range(256)) * 2_000
    form = parse(part(b"text", SECRET) + file(b"image", image) + b"--b--")
    assert form.files == [("image", image)]


@pytest.mark.parametrize("charset", ["punycode", "utf-7", "latin-1", "rot13", "unknown"])
def test_texts_are_utf_8_whatever_charset_the_client_names(charset):
    text = "+AOQ- löwe-" + "a" * 500_000
    start = time.perf_counter()
    form = parse(part(b"text", text.encode()) + b"--b--", f"{TYPE}; charset={charset}")
    assert time.perf_counter() - start < 1
    assert form.fields == {"text": text}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (part(b"text", "löwe".encode("latin-1")) + b"--b--", "the field 'text' is not UTF-8"),
        (part(b"t\xff", b"a") + b"--b--", "the name of a field is not UTF-8"),
        (part(b"text", b"a") * 2 + b"--b--", "the field 'text' is given twice"),
        (part(b"text", SECRET) + file(b"image", SECRET), "it ends before its last boundary"),
        (part(b"text", SECRET)[:-9], "it ends before its last boundary"),
        (part(b"text", SECRET) + b"--b-", "it ends before its last boundary"),
        (b"", "it ends before its last boundary"),
        (
            part(b"text", b"a", b'; x="' + b";" * 2_000) + b"--b--",
            "a part has a header of over 1,000 bytes",
        ),
        (b"--b\r\nX: a\r\n\r\na\r\n--b--", "a part has no name"),
        (SECRET, "it is not multipart data with this boundary"),
        (b"--b\r\n" + SECRET + b"\r\n", "it is not multipart data with this boundary"),
    ],
)
def test_an_invalid_form_is_refused_with_the_reason(body, reason):
    error = error_of(body)
    assert error.status_code == 422
    assert error.detail == f"The form cannot be parsed: {reason}."


@pytest.mark.parametrize("parameters", ["", "; boundary=", "; boundary=" + "b" * 5_000])
def test_a_form_without_a_usable_boundary_is_refused(parameters):
    assert error_of(SECRET, f"multipart/form-data{parameters}").status_code == 422


def test_a_form_with_too_many_parts_is_refused():
    body = b"".join(part(b"%d" % i, b"") for i in range(11)) + b"--b--"
    assert error_of(body).status_code == 413

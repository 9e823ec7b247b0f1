"""Multipart forms, parsed in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio
from fastapi import HTTPException
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from .request_bodies import too_many

# Bytes that are parsed without a pause in which the server does something else.
PARSED_AT_ONCE = 1 << 16
# Bytes of a header of a part: the time to parse it grows faster than its length.
MAX_HEADER = 1_000


@dataclass
class Form:
    """The parts of a form.

    fields: texts by name. files: names of fields with the contents of their files, in order.
    """

    fields: dict[str, str] = field(default_factory=dict)
    files: list[tuple[str, bytes]] = field(default_factory=list)


async def parse_form(content_type: str, body: bytes, max_parts: int) -> Form:
    """Parse a form. All texts are UTF-8, whatever charset the client names.

    Raises HTTPException: 413 if it has too many parts, 422 if it is invalid.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise _invalid("its content type has no boundary")
    reader = _FormReader(max_parts)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": reader.begin_part,
                "on_header_field": reader.add_header_name,
                "on_header_value": reader.add_header_value,
                "on_header_end": reader.end_header,
                "on_headers_finished": reader.end_headers,
                "on_part_data": reader.add_content,
                "on_part_end": reader.end_part,
                "on_end": reader.end,
            },
        )
        for start in range(0, len(body), PARSED_AT_ONCE):
            parser.write(body[start : start + PARSED_AT_ONCE])
            await anyio.sleep(0)
    except FormParserError:  # its message may quote the body
        raise _invalid("it is not multipart data with this boundary") from None
    if not reader.is_complete:
        raise _invalid("it ends before its last boundary")
    return reader.form


def _invalid(reason: str) -> HTTPException:
    """The error for a form that cannot be parsed."""
    return HTTPException(422, f"The form cannot be parsed: {reason}.")


class _FormReader:
    """Collects the parts of a form while its bytes are parsed."""

    def __init__(self, max_parts: int) -> None:
        self.form = Form()
        self.is_complete = False
        self._max_parts = max_parts
        self._n_parts = 0

    def begin_part(self) -> None:
        self._n_parts += 1
        if self._n_parts > self._max_parts:
            raise too_many("parts of the form", self._n_parts, self._max_parts)
        self._disposition = b""
        self._content = bytearray()
        self._begin_header()

    def _begin_header(self) -> None:
        self._header_name = b""
        self._header_value = b""

    def add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]
        if len(self._header_value) > MAX_HEADER:
            raise _invalid(f"a part has a header of over {MAX_HEADER:,} bytes")

    def end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._begin_header()

    def end_headers(self) -> None:
        options = parse_options_header(self._disposition)[1]
        if b"name" not in options:
            raise _invalid("a part has no name")
        self._name = _decode(options[b"name"], "the name of a field")
        self._is_file = b"filename" in options

    def add_content(self, data: bytes, start: int, end: int) -> None:
        self._content += data[start:end]

    def end_part(self) -> None:
        form, name = self.form, self._name
        if self._is_file:
            form.files.append((name, bytes(self._content)))
        elif name in form.fields:
            raise _invalid(f"the field {name[:80]!r} is given twice")
        else:
            form.fields[name] = _decode(self._content, f"the field {name[:80]!r}")

    def end(self) -> None:
        self.is_complete = True


def _decode(content: bytes | bytearray, what: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise _invalid(f"{what} is not UTF-8") from None

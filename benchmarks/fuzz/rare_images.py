"""Small images in formats that Pillow does not write, or not as small files."""

from __future__ import annotations

import io
import struct

from PIL import Image

GREY = bytes(range(64))


def rare_images() -> dict[str, bytes]:
    """Return images of 8 x 8 pixels by format, only a header where Pillow reads no more."""
    return {
        "BUFR": b"BUFR" + GREY,
        "CUR": _cursor(),
        "DCX": struct.pack("<III", 0x3ADE68B1, 12, 0) + _written("PCX"),
        "FITS": _fits(),
        "FLI": _fli(),
        "FTEX": struct.pack("<4s8I", b"FTEX", 0, 8, 8, 1, 1, 1, 32, 192) + GREY * 3,
        "GBR": struct.pack(">5I4sI4s", 32, 2, 8, 8, 1, b"GIMP", 10, b"name") + GREY,
        "GRIB": b"GRIB\0\0\0\1" + GREY,
        "HDF5": b"\x89HDF\r\n\x1a\n" + GREY,
        "ICNS": _icon(),
        "IMT": b"* an image\nwidth 8\nheight 8\npixel n8\n\x0c" + GREY + bytes(64),
        "IPTC": _iptc(),
        "MCIDAS": _mcidas(),
        "MPEG": b"\0\0\1\xb3\0\x80\x08" + GREY,
        "PCD": bytes(2048) + b"PCD_" + bytes(96 * 2048 - 2052) + GREY * 6 * 1536,
        "PIXAR": _pixar(),
        "PSD": struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 8, 8, 8, 3) + bytes(14) + GREY * 3,
        "SUN": struct.pack(">8I", 0x59A66A95, 8, 8, 8, 64, 1, 0, 0) + GREY,
        "WMF": struct.pack("<4s2x5H", b"\xd7\xcd\xc6\x9a", 0, 0, 8, 8, 72) + _wmf_rest(),
        "XPM": _xpm(),
        "XVTHUMB": b"P7 332\n#IMGINFO:8x8\n#END_OF_COMMENTS\n8 8 255\n" + GREY,
    }


def _written(format: str) -> bytes:
    buffer = io.BytesIO()
    Image.frombytes("L", (8, 8), GREY).save(buffer, format)
    return buffer.getvalue()


def _cursor() -> bytes:
    bitmap = bytearray(_written("DIB"))
    struct.pack_into("<i", bitmap, 8, 16)  # the image and its mask, one above the other
    entry = struct.pack("<4BHHII", 8, 8, 0, 0, 0, 0, len(bitmap) + 64, 22)
    return struct.pack("<HHH", 0, 2, 1) + entry + bytes(bitmap) + GREY


def _fits() -> bytes:
    cards = [("SIMPLE", "T"), ("BITPIX", "8"), ("NAXIS", "2"), ("NAXIS1", "8"), ("NAXIS2", "8")]
    header = "".join(f"{name:8}= {value:>20}".ljust(80) for name, value in cards)
    return (header + "END".ljust(80)).ljust(2880).encode() + GREY.ljust(2880, b"\0")


def _fli() -> bytes:
    # One uncompressed packet per line.
    lines = b"".join(struct.pack("<BB", 1, 256 - 8) + GREY[8 * i : 8 * i + 8] for i in range(8))
    chunk = struct.pack("<IH", len(lines) + 6, 15) + lines
    frame = struct.pack("<IHH8x", len(chunk) + 16, 0xF1FA, 1) + chunk
    header = struct.pack("<IHHHHHH", len(frame) + 128, 0xAF11, 1, 8, 8, 8, 3)
    return header.ljust(128, b"\0") + frame


def _icon() -> bytes:
    """A single size; Pillow writes all up to 1024 x 1024 pixels."""
    png = _written("PNG")
    return struct.pack(">4sI4sI", b"icns", len(png) + 16, b"icp4", len(png) + 8) + png


def _iptc() -> bytes:
    def field(record: int, number: int, data: bytes) -> bytes:
        return struct.pack(">BBBH", 0x1C, record, number, len(data)) + data

    fields = [(60, b"\1\0"), (65, b"\1"), (20, b"\0\10"), (30, b"\0\10"), (120, b"\1")]
    header = b"".join(field(3, number, data) for number, data in fields)
    return header + field(8, 10, GREY) + bytes(5)


def _mcidas() -> bytes:
    words = [0] * 64
    words[1], words[8], words[9], words[10], words[13], words[33] = 4, 8, 8, 1, 1, 256
    return struct.pack(">64i", *words) + GREY


def _pixar() -> bytes:
    header = bytearray(1024)
    header[:4] = b"\x80\xe8\0\0"
    struct.pack_into("<HH", header, 416, 8, 8)
    struct.pack_into("<HH", header, 424, 14, 2)
    return bytes(header) + GREY * 3


def _wmf_rest() -> bytes:
    return bytes(6) + b"\1\0\t\0" + GREY


def _xpm() -> bytes:
    colors = [f'"{chr(48 + i)} c #{i:02x}{i:02x}{i:02x}",' for i in range(8)]
    rows = ['"01234567",'] * 8
    return "\n".join(
        ["/* XPM */", "static char * x[] = {", '"8 8 8 1",', *colors, "/* pixels */", *rows, "};"]
    ).encode()

"""Images with text, in the font that Pillow has built in."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont


def sign(text: str = "OPEN SUNDAY", size: int = 32, angle: float = 0.0) -> np.ndarray:
    face = ImageFont.load_default(size)
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox(
        (0, 0), text, font=face
    )
    panel = Image.new("RGB", (round(right - left) + 40, round(bottom - top) + 40), "#fdf6e3")
    ImageDraw.Draw(panel).multiline_text((20 - left, 20 - top), text, fill="#3b2f2f", font=face)
    return np.asarray(
        panel.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor="#fdf6e3")
    )

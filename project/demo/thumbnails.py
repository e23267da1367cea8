"""One small harbour, drawn in the look of each style: the thumbnails that authors choose by."""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps

SIZE = (240, 160)
ZOOM = 2  # drawn larger and scaled down, for smooth edges


def harbour() -> Image.Image:
    """Evening sky, a hill with a lighthouse, a boat on the sea."""
    width, height = SIZE[0] * ZOOM, SIZE[1] * ZOOM
    sky = Image.linear_gradient("L").resize((width, height))
    picture = ImageOps.colorize(sky, "#5b8fc7", "#ffe3b0", mid="#f7b98c")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((300, 100, 372, 172), fill="#fff3cf")
    draw.rectangle((0, 196, width, height), fill="#2f6f86")
    for line in range(204, height, 14):
        draw.line((0, line, width, line + 4), fill="#3f8499", width=3)
    draw.polygon([(0, 220), (0, 130), (70, 112), (150, 150), (210, 220)], fill="#4c6b3c")
    draw.polygon([(58, 120), (64, 40), (88, 40), (94, 124)], fill="#f4efe6")
    draw.rectangle((61, 66, 91, 84), fill="#c8443a")
    draw.rectangle((62, 24, 90, 40), fill="#33383d")
    draw.polygon([(250, 238), (390, 238), (362, 276), (276, 276)], fill="#8c3b2e")
    draw.polygon([(316, 232), (316, 128), (378, 226)], fill="#f7f1e4")
    draw.polygon([(308, 232), (308, 150), (266, 228)], fill="#e6d9c2")
    return picture.resize(SIZE, Image.Resampling.LANCZOS)


def photo(picture: Image.Image) -> Image.Image:
    """A little grain over soft edges."""
    grain = Image.effect_noise(SIZE, 18).convert("RGB")
    return Image.blend(picture.filter(ImageFilter.GaussianBlur(0.8)), ImageChops.overlay(picture, grain), 0.6)


def watercolour(picture: Image.Image) -> Image.Image:
    """Pale flat washes that end before the edge of the paper."""
    wash = ImageOps.posterize(picture.filter(ImageFilter.MedianFilter(9)), 3).filter(ImageFilter.GaussianBlur(1.2))
    paper = Image.new("RGB", SIZE, "#fdfbf6")
    edge = Image.new("L", SIZE, 0)
    ImageDraw.Draw(edge).rounded_rectangle((10, 10, SIZE[0] - 10, SIZE[1] - 10), 22, fill=190)
    paper.paste(wash, mask=edge.filter(ImageFilter.GaussianBlur(6)))
    return paper


def pixel_art(picture: Image.Image) -> Image.Image:
    """48 × 32 squares in 16 colours."""
    small = ImageEnhance.Color(picture.resize((48, 32), Image.Resampling.BOX)).enhance(1.4)
    return small.quantize(16).convert("RGB").resize(SIZE, Image.Resampling.NEAREST)


def pencil_sketch(picture: Image.Image) -> Image.Image:
    """Dark lines where the tone changes, on white."""
    grey = ImageOps.grayscale(picture)
    lines = ImageOps.invert(
        ImageOps.autocontrast(grey.filter(ImageFilter.FIND_EDGES).crop((2, 2, 238, 158)).resize(SIZE))
    )
    shade = ImageEnhance.Brightness(grey).enhance(2.0)
    return ImageChops.multiply(lines, shade).convert("RGB")


def oil_painting(picture: Image.Image) -> Image.Image:
    """Broad strokes in strong colours, with a relief."""
    strokes = ImageEnhance.Color(picture.filter(ImageFilter.ModeFilter(9))).enhance(1.6)
    relief = strokes.convert("L").filter(ImageFilter.EMBOSS).convert("RGB")
    return ImageChops.overlay(strokes, Image.blend(Image.new("RGB", SIZE, "#808080"), relief, 0.5))


def sepia(picture: Image.Image) -> Image.Image:
    """Browns, as an old print has them."""
    return ImageOps.colorize(ImageOps.autocontrast(ImageOps.grayscale(picture)), "#2b1a0d", "#fbeed2", mid="#a57a4d")


LOOKS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "photo": photo,
    "watercolour": watercolour,
    "pixel-art": pixel_art,
    "pencil-sketch": pencil_sketch,
    "oil-painting": oil_painting,
    "sepia": sepia,
}


def thumbnail(slug: str) -> bytes:
    """The PNG file of one style."""
    data = io.BytesIO()
    LOOKS[slug](harbour()).save(data, "PNG", optimize=True)
    return data.getvalue()

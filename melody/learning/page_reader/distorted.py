"""Pictures of staves as cameras and scanners see them: turned, stretched, blurred, noisy, unevenly lit, on paper."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from melody.senses.page.symbols import ABOVE, SPACE

Pixels = NDArray[np.uint8]
STRONG, WEAK = 1.0, 0.3  # for photographs and for scans
INTRUDING = (8, 28)  # rows of a picture into which the music of the staff above or below may reach


def distorted(pixels: Pixels, draw: np.random.Generator, strength: float = STRONG) -> Pixels:
    """Return a picture (H, W) of the same size, distorted; `strength` 0 leaves it."""
    if strength == 0:
        return pixels
    image = _bent(Image.fromarray(pixels), draw, strength)
    if draw.random() < 0.6:
        image = image.filter(ImageFilter.GaussianBlur(float(draw.uniform(0.2, 1.1) * strength)))
    ink = np.asarray(image, np.float32) / 255
    if draw.random() < 0.3:  # thicker or thinner ink
        ink = np.clip((ink - 0.5) * draw.uniform(1.0, 2.5) + 0.5 + draw.uniform(-0.2, 0.2), 0, 1)
    height, width = ink.shape
    paper = 1 - strength * draw.uniform(0, 0.35)
    light = np.linspace(draw.uniform(-1, 1), draw.uniform(-1, 1), width, dtype=np.float32)[None] * 0.12 * strength
    light = light + np.linspace(draw.uniform(-1, 1), draw.uniform(-1, 1), height, dtype=np.float32)[:, None] * 0.08
    stains = Image.fromarray(draw.normal(0, 1, (4, max(2, width // 40))).astype(np.float32)).resize((width, height), 3)
    noise = draw.standard_normal((height, width), np.float32) * draw.uniform(0, 0.09) * strength
    dark = draw.uniform(0, 0.3) * strength
    result = dark + ink * (paper - dark) + light * strength + 0.04 * strength * np.asarray(stains) + noise
    return np.asarray(np.clip(result, 0, 1) * 255, np.uint8)


def photographed(image: Image.Image, degrees: float, draw: np.random.Generator) -> Image.Image:
    """Return a whole page, dark on white, as a photograph: turned, out of focus, unevenly lit and noisy."""
    turned = image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=250).filter(ImageFilter.GaussianBlur(1))
    light = np.asarray(turned, np.float32) * np.linspace(0.95, 0.6, turned.width, dtype=np.float32)[None]
    noisy = light + 5 * draw.standard_normal(light.shape, np.float32)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def crowded(pixels: Pixels, other: Pixels, draw: np.random.Generator) -> Pixels:
    """Return a staff's picture as it is cut from a full page: with ink of a neighbour, and a system's line at the left.

    `other` is the picture of another staff; what lies below its lines comes to stand above this one, or vice versa.
    """
    result = pixels.copy()
    rows, width = int(draw.integers(*INTRUDING)), min(pixels.shape[1], other.shape[1])
    here, there = (slice(None, rows), slice(-rows, None)) if draw.random() < 0.5 else (slice(-rows, None), slice(rows))
    result[here, :width] = np.minimum(result[here, :width], other[there, :width])
    if draw.random() < 0.5:
        lines = slice(ABOVE * SPACE, None) if draw.random() < 0.5 else slice(None, (ABOVE + 4) * SPACE)
        result[lines, SPACE - 1 : SPACE + int(draw.integers(1, 3))] = draw.integers(0, 120)
    return result


def _bent(image: Image.Image, draw: np.random.Generator, strength: float) -> Image.Image:
    """Turn, shear, stretch and shift about the middle; the staff stays within a few pixels of its place."""
    width, height = image.size
    turn = draw.uniform(-1, 1) * strength * min(0.02, 5 / width)  # up to five pixels at the ends
    shear = draw.uniform(-0.08, 0.08) * strength
    stretch = 1 + draw.uniform(-0.05, 0.05) * strength
    lower = draw.uniform(-2.5, 2.5) * strength
    x, y = width / 2, height / 2
    matrix = (1.0, shear, -shear * y, turn, stretch, y - turn * x - stretch * y + lower)
    return image.transform((width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=255)

"""Pictures of pages as bytes."""

import io

from PIL import Image


def png(image: Image.Image) -> bytes:
    """The bytes of a picture."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()

"""Pictures inside of a page."""

from __future__ import annotations

import base64
import io

import numpy as np

from pcc_cli.evaluation.report.png import encode_png
from pcc_cli.geometry import Array

_QUALITY = 84  # of WebP: no difference to be seen, a tenth of the size
_LEVELS = np.uint8(0xFC)  # bits of a colour that are kept where there is PNG only


def data_uri(image: Array) -> str:
    """`image` (h, w, 3 or 4) uint8 as a data URI: WebP with Pillow (extra `report`), else PNG."""
    try:
        from PIL import Image
    except ImportError:
        clear = image.shape[2] == 4 and (image[..., 3:] == 0)
        coarse = np.where(clear, np.uint8(0), image & _LEVELS)
        return "data:image/png;base64," + _base64(encode_png(coarse))
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "WEBP", quality=_QUALITY, method=4)
    return "data:image/webp;base64," + _base64(stream.getvalue())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")

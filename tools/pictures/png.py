"""PNG with a palette of one byte for each pixel: pages have few colors, and pictures in a repository should be small.

Reads what Chromium writes (8 bits for each of red, green and blue, no interlacing) and no other form of PNG; see
https://www.w3.org/TR/png-3/ for chunks and filters.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from tools.pictures.layout import PictureError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLORS = 256
_TRUE_COLOR, _PALETTE = 2, 3
_PIXEL = 3  # bytes
_ALIKE = 75  # squared distance of indistinguishable colors: 5 in each of red, green and blue


def size_of(png: bytes) -> tuple[int, int]:
    """Width and height in pixels. Raises PictureError for what is no PNG."""
    if png[:8] != SIGNATURE or png[12:16] != b"IHDR":
        raise PictureError("no PNG")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def with_palette(png: bytes) -> bytes:
    """The same picture with its most frequent colors; any other becomes the nearest of these. Raises PictureError."""
    width, height = size_of(png)
    if tuple(png[24:29]) != (8, _TRUE_COLOR, 0, 0, 0):
        raise PictureError("a PNG of another form than Chromium's")
    data = b"".join(content for kind, content in _chunks(png) if kind == b"IDAT")
    lines = [_pixels(line) for line in _unfiltered(zlib.decompress(data), width * _PIXEL, height)]
    counted: Counter[bytes] = Counter()
    for line in lines:
        counted.update(line)
    palette = _palette(color for color, _ in counted.most_common())
    place = {color: _nearest(color, palette) for color in counted}
    content = b"".join(b"\0" + bytes(map(place.__getitem__, line)) for line in lines)
    header = struct.pack(">IIBBBBB", width, height, 8, _PALETTE, 0, 0, 0)
    return b"".join(
        (
            SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", b"".join(palette)),
            _chunk(b"IDAT", zlib.compress(content, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(SIGNATURE)
    while position < len(png):
        (length,) = struct.unpack(">I", png[position : position + 4])
        yield png[position + 4 : position + 8], png[position + 8 : position + 8 + length]
        position += 12 + length


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _unfiltered(data: bytes, stride: int, height: int) -> Iterator[bytes]:
    above = bytes(stride)
    for number in range(height):
        begin = number * (stride + 1)
        above = _line(data[begin], data[begin + 1 : begin + 1 + stride], above)
        yield above


def _line(kind: int, filtered: bytes, above: bytes) -> bytes:
    """Remove a line's filter: each byte is stored as the difference to its left or upper neighbor, or both."""
    if kind == 0:
        return filtered
    if kind == 2:
        return bytes([(one + up) & 255 for one, up in zip(filtered, above, strict=True)])
    line = bytearray(filtered)
    for at, one in enumerate(filtered):
        left = line[at - _PIXEL] if at >= _PIXEL else 0
        if kind == 1:
            line[at] = (one + left) & 255
        elif kind == 3:
            line[at] = (one + (left + above[at]) // 2) & 255
        else:
            line[at] = (one + _paeth(left, above[at], above[at - _PIXEL] if at >= _PIXEL else 0)) & 255
    return bytes(line)


def _paeth(left: int, up: int, corner: int) -> int:
    """Of the three the one that is nearest to left + up - corner."""
    to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    if to_left <= to_up and to_left <= to_corner:
        return left
    return up if to_up <= to_corner else corner


def _pixels(line: bytes) -> list[bytes]:
    return [line[at : at + _PIXEL] for at in range(0, len(line), _PIXEL)]


def _palette(colors: Iterable[bytes]) -> list[bytes]:
    """Colors that differ, the frequent ones first: shades of one leave room for the few dots of a legend."""
    found: list[bytes] = []
    for color in colors:
        if len(found) == COLORS:
            break
        if not found or min(_distances(color, found)) > _ALIKE:
            found.append(color)
    return found


def _nearest(color: bytes, palette: Sequence[bytes]) -> int:
    distances = _distances(color, palette)
    return distances.index(min(distances))


def _distances(color: bytes, others: Sequence[bytes]) -> list[int]:
    red, green, blue = color
    return [(red - one[0]) ** 2 + (green - one[1]) ** 2 + (blue - one[2]) ** 2 for one in others]

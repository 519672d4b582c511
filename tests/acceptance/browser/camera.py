"""A camera stream for Chromium's fake device: an uncompressed Y4M film of a QR code, written without any tool."""

from __future__ import annotations

from pathlib import Path

import segno

_WIDTH, _HEIGHT, _FRAMES = 640, 480, 4
_LIGHT, _DARK, _GREY = 235, 16, 128


def write_film(path: Path, text: str, *, module_px: int = 8) -> None:
    """Write a film of ``text`` as a QR code in the middle of a grey picture (YUV 4:2:0, 640 by 480)."""
    matrix = [
        list(row) for row in segno.make(text, error="m", micro=False).matrix_iter(scale=module_px, border=4)
    ]
    top, left = (_HEIGHT - len(matrix)) // 2, (_WIDTH - len(matrix[0])) // 2
    luma = bytearray([_GREY]) * (_WIDTH * _HEIGHT)
    for y, row in enumerate(matrix):
        start = (top + y) * _WIDTH + left
        luma[start : start + len(row)] = bytes(_DARK if dark else _LIGHT for dark in row)
    chroma = bytes([128]) * (_WIDTH * _HEIGHT // 2)
    header = f"YUV4MPEG2 W{_WIDTH} H{_HEIGHT} F10:1 Ip A1:1 C420jpeg\n".encode()
    path.write_bytes(header + (b"FRAME\n" + bytes(luma) + chroma) * _FRAMES)

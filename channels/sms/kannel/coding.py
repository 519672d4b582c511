"""Which of Kannel's codings a text needs: its ``coding`` parameter and ``X-Kannel-Coding`` header."""

from __future__ import annotations

from channels.wording.segments import find_gsm7_length


def coding_of(text: str) -> str:
    """Return "0" (GSM 7-bit) where every character is in that alphabet, else "2" (UCS-2).

    Without it smsbox 1.4.5 sends question marks for Chinese (seen).
    """
    return "0" if find_gsm7_length(text) is not None else "2"

"""A platform that signs in whom a test says, each code once."""

from __future__ import annotations

from channels.abilities import ErrandFailed


class FakeSignIns:
    """``codes`` are those ``wx.login`` gave, with the openid behind each; ``trouble`` is what it answers instead."""

    def __init__(self, codes: dict[str, str] | None = None) -> None:
        self.codes = codes or {}
        self.trouble: ErrandFailed | None = None
        self.asked: list[str] = []

    async def open_session(self, js_code: str) -> str | ErrandFailed:
        self.asked.append(js_code)
        if self.trouble is not None:
            return self.trouble
        openid = self.codes.pop(js_code, None)
        return openid if openid is not None else ErrandFailed(why="code_invalid", refused=True)

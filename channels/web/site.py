"""The site's words, templates and static addresses, read once; rendering a page is then pure."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from channels.problems import Problem
from channels.web.looks import LOOKS
from channels.wording.locales import LOCALES
from channels.wording.reply import Page, Reply
from channels.wording.variants import Variant

_FOLDER: Final = Path(__file__).parent
_PAGES: Final = ("check.html", "result.html", "record.html", "refusal.html")
_NOTICE_TITLES: Final = {Variant.THROTTLED: "wait", Variant.UNAVAILABLE: "wait"}
_VERSION_CHARS: Final = 10
_TELEPHONE: Final = frozenset("+0123456789")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What stands in the form: the text of the field, the page's nonce, and the digits a scan filled in, if any."""

    nonce: str
    shown: str = ""
    scanned: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """What the form of a visitor over a limit carries: the sealed ``wait``, its seconds, and where ``challenge`` gives
    work instead, "" where there is none.
    """

    wait: str
    wait_s: int
    challenge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlipDigit:
    """One digit as the visitor typed it; ``marked`` where they are asked to look again."""

    text: str
    marked: bool


@cache
def _templates() -> Mapping[str, Template]:
    """Compile the pages, once in a process."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    versions = {
        path.name: _version(path) for path in sorted((_FOLDER / "static").iterdir()) if path.is_file()
    }
    environment.globals["static"] = lambda name: f"/static/{name}?v={versions[name]}"
    return {name: environment.get_template(name) for name in _PAGES}


@cache
def _words() -> Mapping[str, dict[str, Any]]:
    return {
        locale: tomllib.loads((_FOLDER / "words" / f"{locale}.toml").read_text(encoding="utf-8"))
        for locale in LOCALES
    }


class Site:
    """Renders every page of the website, in every locale. ``in_wechat``: with what WeChat's own browser can do."""

    def __init__(self) -> None:
        self._templates = _templates()
        self._words = _words()

    def check(self, locale: str, form: Form, *, path: str = "/", in_wechat: bool = False) -> bytes:
        """Return the page with the code field, empty or filled in."""
        return self._render(
            "check.html",
            locale,
            "asked" if form.shown else "check",
            path=path,
            in_wechat=in_wechat,
            **_form_values(form),
            filled=bool(form.shown),
        )

    def notice(
        self, reply: Reply, form: Form, digits: str, *, over: Over | None = None, in_wechat: bool = False
    ) -> bytes:
        """Return the form under an answer that recorded nothing: a slip, too many checks, trouble on our side."""
        return self._render(
            "check.html",
            reply.locale,
            _NOTICE_TITLES.get(reply.variant, "help"),
            in_wechat=in_wechat,
            **_form_values(form)
            | {
                "filled": True,
                "notice": reply.page,
                "look": LOOKS[reply.variant],
                "slip": _slip_groups(digits, reply.verdict.slip_positions),
                "invalid": reply.variant not in _NOTICE_TITLES,
                "over": over,
            },
        )

    def result(self, reply: Reply, *, path: str, in_wechat: bool = False) -> bytes:
        """Return the full result page, for the one who asked."""
        page = reply.page
        return self._render(
            "result.html",
            reply.locale,
            "result",
            path=path,
            in_wechat=in_wechat,
            page=page,
            look=LOOKS[reply.variant],
            tel=_telephone(page),
        )

    def record(self, reply: Reply, recorded: str, *, path: str, in_wechat: bool = False) -> bytes:
        """Return the grey record page, for anybody else and for later."""
        return self._render(
            "record.html",
            reply.locale,
            "record",
            path=path,
            in_wechat=in_wechat,
            page=reply.page,
            recorded=recorded,
        )

    def refusal(self, problem: Problem, locale: str) -> bytes:
        """Return the page of a request that was refused."""
        words = self._words[locale]["refusal"]
        code = problem.code if problem.code in words else "malformed"
        return self._render(
            "refusal.html", locale, "refusal", heading=words[f"{code}_heading"], sentence=words[code]
        )

    def _render(
        self,
        template: str,
        locale: str,
        title: str,
        *,
        path: str = "/",
        in_wechat: bool = False,
        **values: object,
    ) -> bytes:
        words = self._words[locale]
        page = self._templates[template].render(
            locale=locale,
            words=words,
            title=words["titles"][title],
            switch_path=path,
            in_wechat=in_wechat,
            **values,
        )
        return page.encode()


def _form_values(form: Form) -> dict[str, Any]:
    return {
        "nonce": form.nonce,
        "shown": form.shown,
        "scanned": form.scanned,
        "notice": None,
        "slip": None,
        "invalid": False,
        "over": None,
    }


def _slip_groups(digits: str, positions: tuple[int, ...]) -> list[list[SlipDigit]]:
    """Return the typed digits in groups of four, or nothing where no position is known."""
    if not positions:
        return []
    marked = [SlipDigit(text=digit, marked=place in positions) for place, digit in enumerate(digits, start=1)]
    return [marked[start : start + 4] for start in range(0, len(marked), 4)]


def _telephone(page: Page) -> str:
    """Return the service line as a ``tel:`` address (RFC 3966) without its visual separators."""
    return "".join(char for char in page.service_line if char in _TELEPHONE)


def _version(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()[:_VERSION_CHARS]

"""Why the website refuses a request, beside the reasons it shares with the channels for programs."""

from __future__ import annotations

from enum import Enum

from app.core.errors import NotAuthentic
from channels.base import RefusalKind
from channels.problems import BY_KIND, Problem


class PageReason(Enum):
    """Every reason that a page alone gives; each has a stable code, a status and a sentence."""

    WRONG_FORM = Problem(
        code="malformed", status=400, detail="Send the form of the check page, with nothing added."
    )
    WRONG_LINK = Problem(
        code="invalid_link",
        status=400,
        detail="The product number in the link is not a GTIN. Scan the label again or type the code.",
    )


class ForeignOrigin(NotAuthentic):
    """The request comes from a page of another site. Open this service itself and check there."""

    def __init__(self, locale: str) -> None:
        super().__init__()
        self.problem = BY_KIND[RefusalKind.NOT_AUTHENTIC]
        self.locale = locale

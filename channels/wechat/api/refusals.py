"""Why a mini-program's request is refused, beside the reasons it shares with the other channels for programs."""

from __future__ import annotations

from enum import Enum
from typing import Final

from channels.problems import Problem

MOST_RECORDS: Final = 50
MOST_WORDS: Final = 500  # characters


class AppReason(Enum):
    """Every reason of its own; the API's documentation lists them."""

    SIGN_IN_REQUIRED = Problem(
        code="sign_in_required",
        status=401,
        detail="Sign in at /api/v1/wechat/session and send the token as Authorization: Bearer.",
    )
    SIGN_IN_REFUSED = Problem(
        code="sign_in_refused", status=401, detail="Call wx.login again and send its new code."
    )
    UNKNOWN_APP = Problem(
        code="unknown_app", status=422, detail='"app_id" must be the AppID of a mini-program of this service.'
    )
    WRONG_LIMIT = Problem(
        code="invalid_limit", status=422, detail=f'"limit" must be a number from 1 to {MOST_RECORDS}.'
    )
    WRONG_TEXT = Problem(
        code="invalid_text", status=422, detail=f'"text" must be a string of 1 to {MOST_WORDS} characters.'
    )
    UNKNOWN_RESULT = Problem(
        code="unknown_result",
        status=404,
        detail='"result" must be that of a check you made of a label in our record.',
    )
    NO_RECALL_NOTICES = Problem(
        code="recall_notices_not_offered", status=404, detail="This mini-program tells of no recalls."
    )

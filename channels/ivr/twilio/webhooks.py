"""What Twilio posts about a call, as moments of the dialogue. Its words for keys, transfers and ends stop here."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from app.core.errors import Undecodable
from app.core.model.call import CallEnd
from channels.base import InboundRequest, Route
from channels.ivr.dialect import CallEnded, CallMoment, CallRemark, Came, ClipWanted
from channels.ivr.events import Ended, Event, HungUp, Keys, Recorded, Silence, Started, TransferFailed
from channels.signatures import Form, is_form, parse_form

_FORM_BYTES: Final = 16 * 1024


def _post(path: str) -> Route:
    return Route(method="POST", path=f"/channels/ivr/twilio{path}", max_body_bytes=_FORM_BYTES)


CALLS: Final = _post("")
TURNS: Final = _post(
    "/turn/{most}/{state}"
)  # the provider does not tell whether the keys ended by their number
RECORDED: Final = _post("/recorded/{state}")
DIALLED: Final = _post("/dialled/{state}")
STATUS: Final = _post("/status")
CLIPS: Final = Route(method="GET", path="/channels/ivr/clips/{sha}")
ROUTES: Final = (CALLS, TURNS, RECORDED, DIALLED, STATUS, CLIPS)

# The signature runs names and values together without a mark between them, so whoever has a signed form can cut it
# anew. An id of exactly this shape cannot be cut shorter or longer, and a cut form is still the same call.
_CALL: Final = re.compile(r"CA[0-9a-f]{32}")
_RECORDING: Final = re.compile(r"RE[0-9a-f]{32}")
_KEYS: Final = re.compile(r"[0-9*#A-D]{0,64}")
_MOST: Final = re.compile(r"[1-9][0-9]{0,2}")
_SECONDS: Final = re.compile(r"[0-9]{1,6}")
_SHA: Final = re.compile(r"[0-9a-f]{16,64}")
_NUMBER: Final = re.compile(r"\+[0-9]{7,15}|[0-9]{3,15}")

# ANONYMOUS, RESTRICTED, BLOCKED, UNKNOWN and UNAVAILABLE on a telephone's keys, as carriers send them for a number
# that is withheld. The last two look like numbers of the mainland, and all who withhold theirs would be one caller.
_SPELT: Final = frozenset({"266696687", "7378742833", "2562533", "8656696", "86282452253"})

_PUT_THROUGH: Final = frozenset({"completed", "answered"})
_NOT_PUT_THROUGH: Final = frozenset({"busy", "no-answer", "failed", "canceled"})
_OVER: Final = {
    "completed": CallEnd.COMPLETED,
    "busy": CallEnd.BUSY,
    "no-answer": CallEnd.NO_ANSWER,
    "failed": CallEnd.FAILED,
    "canceled": CallEnd.CANCELED,
}
_NOT_OVER: Final = frozenset({"queued", "initiated", "ringing", "in-progress"})


def read_request(request: InboundRequest) -> Came:
    """Return what came. Raises ``Undecodable``."""
    if request.route == CLIPS.path:
        return _read_clip(request.parts.get("sha", ""))
    if not is_form(request.headers.get("content-type", "")):
        raise Undecodable("Twilio's webhooks are forms.")
    form = parse_form(request.body)
    call_id = form.first("CallSid")
    if not _CALL.fullmatch(call_id):
        raise Undecodable("The form holds no call id.")
    if request.route == STATUS.path:
        return _read_status(call_id, form)
    if request.route == CALLS.path and is_broken(form):
        return CallRemark(why="broken")  # its end is told by itself
    return CallMoment(
        call_id=call_id,
        event=_read_event(request, form),
        caller=read_caller(form.first("From")),
        token=_read_token(request),
        recording=_read_recording(form) if request.route == RECORDED.path else "",
    )


def read_caller(written: str) -> str:
    """Return the number of ``From``; "" where it is withheld, and where it is an address and no telephone number."""
    if not _NUMBER.fullmatch(written) or written.removeprefix("+") in _SPELT:
        return ""
    return written


def is_broken(form: Form) -> bool:
    """Tell whether this is the fallback of a call that was already being answered.

    Begun anew, it would number its entries from the first again, and another code would get the first one's answer.
    """
    if not form.first("ErrorCode", "ErrorUrl"):
        return False
    return not urlsplit(form.first("ErrorUrl")).path.endswith(CALLS.path)


def _read_event(request: InboundRequest, form: Form) -> Event:
    if request.route == CALLS.path:
        return Started()
    if request.route == TURNS.path:
        return _read_keys(form, request.parts.get("most", ""))
    if request.route == RECORDED.path:
        return Recorded() if _read_recording(form) else Silence()
    if request.route == DIALLED.path:
        return _read_transfer(form.first("DialCallStatus"))
    raise Undecodable("Twilio posts nothing to this address.")


def _read_keys(form: Form, most: str) -> Keys | Silence:
    digits, finish = form.first("Digits"), form.first("FinishedOnKey")
    if not _KEYS.fullmatch(digits) or not _MOST.fullmatch(most):
        raise Undecodable("The form holds something else than keys.")
    if finish == "#":
        return Keys(digits=digits, ended="hash")
    if not digits:
        return Silence()
    ended: Ended = "pause" if "FinishedOnKey" in form else "hash"  # others of the kind leave the field out
    return Keys(digits=digits, ended="length" if len(digits) >= int(most) else ended)


def _read_transfer(status: str) -> HungUp | TransferFailed:
    if status in _PUT_THROUGH:
        return HungUp()
    if status in _NOT_PUT_THROUGH:
        return TransferFailed()
    raise Undecodable("The form does not tell how the transfer ended.")


def _read_recording(form: Form) -> str:
    """Return the recording's id, "" for none: the empty one is not even told, and the call falls through to here."""
    url, sid = form.first("RecordingUrl"), form.first("RecordingSid")
    if not url and not sid:
        return ""
    if form.first("RecordingDuration") == "0":
        return ""
    found = _RECORDING.fullmatch(sid or urlsplit(url).path.rpartition("/")[2])
    if found is None:
        raise Undecodable("The form names no recording.")
    return found[0]


def _read_status(call_id: str, form: Form) -> CallEnded | CallRemark:
    status, lasted = form.first("CallStatus"), form.first("CallDuration")
    if status in _OVER:
        seconds = int(lasted) if _SECONDS.fullmatch(lasted) else None
        return CallEnded(call_id=call_id, how=_OVER[status], seconds=seconds)
    if status in _NOT_OVER:  # only where somebody asked Twilio to tell these as well
        return CallRemark(why="not_over")
    raise Undecodable("The form does not tell how the call stands.")


def _read_token(request: InboundRequest) -> str:
    if request.route == CALLS.path:
        return ""
    token = request.parts.get("state", "")
    if not token:  # without a state the call would begin anew
        raise Undecodable("The address holds no state.")
    return token


def _read_clip(name: str) -> ClipWanted:
    sha = name.removesuffix(".wav")
    if not _SHA.fullmatch(sha):
        raise Undecodable("The address names no clip.")
    return ClipWanted(sha=sha)

"""Texts and lines that need no channel: codes in texts, languages, addresses, segments, sealed texts, states."""

from __future__ import annotations

import base64
import unicodedata
from functools import cache
from ipaddress import ip_address, ip_network
from pathlib import Path

from app.adapters.identities import KeyedIdentities
from app.core.errors import Undecodable
from app.core.model.code import MAX_DIGITS, MAX_READINGS, PRESET_LENGTHS, Entry, read_codes
from app.issuing.keyring import SecretName
from app.web.addresses import ClientAddresses, find_address
from channels.ivr.states import Slip, State, StateName
from channels.problems import RequestUndecodable, message_id
from channels.reading import Meant, understand
from channels.sms.smpp.alphabets import cut_text
from channels.sms.smpp.parts import Joining, read_part
from channels.sms.smpp.wire import Delivery
from channels.web.origins import Origins
from channels.web.proofs import Proofs
from channels.wording.locales import LOCALES, find_locale, negotiate_locale
from tests.fakes.clock import START
from tests.fakes.sample_service import PUBLIC_URL, fixed_codebook, fixed_keyring
from tests.proof.fuzz.engine import Breach, Parser

_HANZI = {
    char: str(n)
    for n, chars in enumerate(
        ("〇零○", "一幺壹", "二贰", "三叁", "四肆", "五伍", "六陆", "七柒", "八捌", "九玖")
    )
    for char in chars
}
_LETTERS = {"O": "0", "o": "0", "l": "1", "I": "1"}
_UNSURE = frozenset(_HANZI) | frozenset(_LETTERS)


def own_codes() -> tuple[str, ...]:
    """Return genuine codes of the sample service."""
    book = fixed_codebook()
    return tuple(book.make(20 * 10**15 + number, tag_key_id=1) for number in (0, 1, 2_000))


def typed_digits(text: str) -> tuple[str, bool]:
    """Return every character of a text that may stand for a digit, as digits, by another reading of the rules; and
    whether each surely does.
    """
    digits: list[str] = []
    sure = True
    for char in unicodedata.normalize("NFKC", text):
        if char in _UNSURE:
            sure = False
            digits.append(_HANZI.get(char) or _LETTERS[char])
        elif char.isdecimal():
            digits.append(str(unicodedata.decimal(char)))
    return "".join(digits), sure


def prove_typed(found: str, text: str) -> None:
    """Raise ``Breach`` for a code whose digits were not typed, in that order and next to one another."""
    typed, sure = typed_digits(text)
    if found in typed:
        return
    rest = iter(typed)
    if sure or not all(digit in rest for digit in found):
        raise Breach(f"read {found} in {text!r}")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _read_text(data: bytes) -> None:
    text = _text(data)
    for media in (False, True):
        understood = understand(text, media=media, lengths=PRESET_LENGTHS)
        if (understood.reading is not None) != (understood.kind is Meant.CODE):
            raise Breach("a code without a reading, or the other way round")
    reading = read_codes(text, entry=Entry.SCANNED)
    found = (reading.code, *reading.others)
    if len(found) > MAX_READINGS or any(len(code.digits) > MAX_DIGITS for code in found):
        raise Breach("too many readings or digits")
    for code in found:
        prove_typed(code.digits, text)


def _read_segments(data: bytes) -> None:
    """What is cut into segments is the same text when its parts come in any order."""
    text = _text(data)
    segments = cut_text(text, reference=len(text) % 256)
    joining: Joining | None = None
    for segment in segments[::-1]:
        delivery = Delivery(
            source="1",
            source_ton=1,
            destination="2",
            destination_ton=0,
            user_data=segment.octets,
            tlvs={},
            esm_class=0x40 if segment.has_udh else 0,
            data_coding=8 if segment.is_ucs2 else 0,
        )
        part, octets = read_part(delivery)
        if part is None:
            back = octets.decode("utf-16-be") if segment.is_ucs2 else None
            if len(segments) > 1 or (back is not None and back != text):
                raise Breach("a segment is no part")
            return
        joining = joining or Joining(part, began_s=0)
        joining.add(part)
    if joining is None or not joining.is_whole or joining.text() != text:
        raise Breach("the parts make another text")


def _read_locale(data: bytes) -> None:
    header = _text(data)
    if negotiate_locale(header) not in (None, *LOCALES) or find_locale(header) not in (None, *LOCALES):
        raise Breach("a language there is none")


_PROXIES = ClientAddresses([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])


def _read_forwarded(data: bytes) -> None:
    """The client is the peer or a hop that stands there; nobody left of a stranger is believed."""
    header = _text(data)
    if _PROXIES.client("192.0.2.9", header) != "192.0.2.9":
        raise Breach("a stranger was believed")
    client = _PROXIES.client("10.0.0.1", header)
    if client == "10.0.0.1":
        return
    ip_address(client)
    hops = [find_address(hop) for hop in header.split(",")[-16:]]
    trusted = [
        hop is not None and (hop in ip_network("10.0.0.0/8") or hop in ip_network("fd00::/8")) for hop in hops
    ]
    at = max(number for number, hop in enumerate(hops) if str(hop) == client)
    if not all(trusted[at + 1 :]):
        raise Breach("a hop left of a stranger was believed")


_ORIGINS = Origins(PUBLIC_URL)


def _read_origin(data: bytes) -> None:
    """Lines of headers; what names another site is foreign whatever else stands there."""
    headers = dict(line.partition(": ")[::2] for line in _text(data).split("\n"))
    foreign = _ORIGINS.foreign(headers, own_cookie=False)
    origin, host = headers.get("origin"), headers.get("host", "").strip().lower()
    own = {PUBLIC_URL, f"http://{host}", f"https://{host}"}
    if "sec-fetch-site" in headers:
        own.add("null")  # the browser vouches for it there
    if not foreign and origin is not None and origin.strip().lower() not in own:
        raise Breach("another site was believed")


def _read_key(data: bytes) -> None:
    key = _text(data)
    digits = own_codes_kept()[0]
    if message_id(key, digits) != f"{key}\n{digits}" or "\n" in key:
        raise Breach("two keys can meet")


@cache
def own_codes_kept() -> tuple[str, ...]:
    return own_codes()


@cache
def identities() -> KeyedIdentities:
    """Return the identities of the sample service."""
    ring = fixed_keyring()
    return KeyedIdentities(
        caller_key=ring.secret(SecretName.CALLER).key, result_key=ring.secret(SecretName.RESULT).key
    )


def _open_sealed(data: bytes) -> None:
    """Only the very spelling that was given out opens."""
    text = data.decode("utf-8", "surrogateescape")
    opened = identities().open_state(text, about="call")
    if opened is not None and identities().seal_state(opened, about="call") != text:
        raise Breach("another spelling opens")
    number = identities().open_result(text)
    if number is not None and identities().seal_result(number) != text:
        raise Breach("another spelling opens")


def _read_state(data: bytes) -> None:
    if State.from_bytes(data).to_bytes() != data:
        raise Breach("another state has these bytes")


_SOLVED = Path(__file__).with_name("solved_challenge.json")  # for "me", at START, under the secret below


@cache
def _proofs() -> tuple[Proofs, str, str]:
    """Return proofs, a solved challenge and its number. A challenge is random, so one is kept."""
    proofs, document = Proofs(b"k" * 32, rounds=1), _SOLVED.read_bytes().strip()
    solved = base64.b64encode(document).decode()
    number = proofs.find(solved, "me", START)
    if number is None:
        raise AssertionError(f"{_SOLVED.name} solves no challenge any more; make another")
    return proofs, solved, number


def _read_proof(data: bytes) -> None:
    proofs, _, number = _proofs()
    text = data.decode("utf-8", "surrogateescape")
    if proofs.find(text, "me", START) not in (None, number) or proofs.find(text, "you", START) is not None:
        raise Breach("a forged proof was taken")


def _read_proof_inside(data: bytes) -> None:
    """What stands behind the base64."""
    _read_proof(base64.b64encode(data))


def _states() -> tuple[bytes, ...]:
    code = own_codes()[0]
    return tuple(
        state.to_bytes()
        for state in (
            State(),
            State(name=StateName.ENTRY, locale="en", silences=1),
            State(name=StateName.ENTRY, slip=Slip.LOCATED, positions=(3, 9), digits=code, slips=1),
            State(name=StateName.VERIFYING, digits=code, full=True),
            State(name=StateName.VERDICT, digits=code, brand_line="+864008001234", entries=2),
        )
    )


def text_parsers() -> tuple[Parser, ...]:
    """Return the parsers of this module."""
    one, two, *_ = own_codes()
    grouped = " ".join(one[at : at + 4] for at in range(0, 20, 4))
    wide = one.translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    spoken = one.translate(str.maketrans("0123456789", "〇一二三四五六七八九"))
    slip = one[:7] + str((int(one[7]) + 3) % 10) + one[8:]
    texts = (
        one,
        grouped,
        wide,
        spoken,
        slip,
        f"请查一下 {grouped}，谢谢",
        f"EN {one}",
        f"{PUBLIC_URL}/q/{one}",
        f"{PUBLIC_URL}/01/06901234567892/21/{two}",
        f"{grouped}\n{two}",
        f"13800138000 {one}",
        "STOP",
        "退订",
        "help",
        one.replace("0", "O").replace("1", "l"),
        "-".join(one),
        f"{one[:10]} \u200b {one[10:]}",
        f"({one[:8]}) {one[8:]}",
        one + "7",
        one[:-1],
        "",
    )
    states = _states()
    sealed = (
        *(identities().seal_state(state, about="call") for state in states),
        identities().seal_result(7),
    )  # type: ignore[arg-type]
    return (
        Parser(
            name="texts",
            feed=_read_text,
            seeds=tuple(text.encode() for text in texts),
            weight=3,
            words=tuple(
                word.encode()
                for word in (
                    one,
                    two,
                    one[:10],
                    slip,
                    " ",
                    "-",
                    "\n",
                    "O",
                    "l",
                    "一",
                    "零",
                    "０",
                    "٣",
                    "①",
                    "½",
                    "\u200b",
                    "/q/",
                    "/21/",
                    "STOP",
                    "EN",
                    "查",
                    "，",
                    "·",
                    "0",
                    "9" * 9,
                    "\ufdfa",
                    "\u0301",
                    "…",
                    "\ud7ff",
                    "\U0001d7ce",
                )
            ),
        ),
        Parser(
            name="segments",
            feed=_read_segments,
            allowed=(ValueError,),
            seeds=tuple(
                text.encode()
                for text in (
                    "x" * 161,
                    "验" * 71,
                    "€" * 80 + "[" * 80,
                    "a" * 152 + "^b",
                    "\U0001f600" * 40,
                    "short",
                )
            ),
            words=tuple(
                text.encode() for text in ("€", "^", "验", "\U0001f600", "x" * 150, "\x1b", "@", "\0")
            ),
            largest=8192,
        ),
        Parser(
            name="accept-language",
            feed=_read_locale,
            seeds=(b"zh-CN,zh;q=0.9,en;q=0.8", b"en-GB, *;q=0.1", b"zh_Hant_TW;q=1.0", b"fr;q=0, en;q=0.001"),
            words=(b"zh", b"en", b"-", b"_", b";q=", b"q=nan", b"q=inf", b"q=-0", b"q=1e-999", b"*", b","),
        ),
        Parser(
            name="forwarded-for",
            feed=_read_forwarded,
            seeds=(
                b"203.0.113.7, 10.0.0.2",
                b"[2001:db8::1]:443, fd00::1",
                b"::ffff:203.0.113.9",
                b"unknown, 10.1.2.3",
                b"203.0.113.7:5000,10.9.9.9",
                b"fe80::1%eth0, 10.0.0.1",
            ),
            words=(
                b"10.0.0.2",
                b"fd00::1",
                b"203.0.113.7",
                b"::ffff:10.0.0.1",
                b"[",
                b"]",
                b":80",
                b"%",
                b",",
                b" ",
            ),
        ),
        Parser(
            name="origins",
            feed=_read_origin,
            seeds=(
                f"origin: {PUBLIC_URL}\nsec-fetch-site: same-origin\nhost: verify.example".encode(),
                b"origin: null\nsec-fetch-site: none",
                b"origin: https://elsewhere.example\nhost: elsewhere.example",
            ),
            words=(
                b"origin: ",
                b"host: ",
                b"sec-fetch-site: ",
                b"null",
                b"same-origin",
                b"https://",
                b".example",
                b"\n",
            ),
        ),
        Parser(
            name="idempotency keys",
            feed=_read_key,
            allowed=(RequestUndecodable,),
            seeds=(b"key-1", b"k" * 255),
        ),
        Parser(
            name="sealed texts",
            feed=_open_sealed,
            seeds=tuple(text.encode() for text in sealed),
            words=(b"=", b"-", b"_", b"+", b"/", b"A", b"\n"),
        ),
        Parser(name="call states", feed=_read_state, allowed=(Undecodable,), seeds=states),
        Parser(name="proofs of work", feed=_read_proof, seeds=(_proofs()[1].encode(),), weight=0.5),
        Parser(
            name="proofs of work, inside",
            feed=_read_proof_inside,
            seeds=(_decoded(_proofs()[1]),),
            weight=0.5,
            words=(b'"counter":', b'"data":', b'"parameters":', b"null", b"[]", b"{}", b"1e999", b'"', b"-1"),
        ),
    )


def _decoded(text: str) -> bytes:
    return base64.b64decode(text)

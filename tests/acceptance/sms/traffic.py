"""A seeded evening of texts: thousands of senders, duplicates near and far, out of order, forgeries between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Final, TypeVar

from tests.acceptance.sms.mobile_network import Arrival, Expected, Fate, Message, Variant, moment_of

T = TypeVar("T")

_PROVIDERS: Final = {"twilio": 30, "kannel": 25, "alibaba": 25, "smpp": 20}
_COPIES: Final = {0: 70, 1: 20, 2: 7, 3: 3}  # 0.43 a message: three deliveries in ten are duplicates
_DISTANCES: Final = (
    (0, 1),
    (40, 500),
    (1_000, 5_000),
)  # deliveries: at once, seconds later, after many others
_FATES: Final = {
    Fate.TAKEN: 88,
    Fate.NOT_NOW: 4,
    Fate.TAKEN_UNHEARD: 4,
    Fate.LOST: 3,
    Fate.TAKEN_UNLISTED: 1,
}
_MOST_TEXTS: Final = 17  # of one sender, duplicates included: twenty an hour is the limit
_MOST_WRONG: Final = 4
_LAYOUTS: Final = (
    "{0}",
    "真的吗 {1}",
    "请查 {0} 谢谢",
    "please check {1}, thanks",
    "{2}",
    "https://verify.example/q/{0}",
    "{0}\n另一个 {3}",
)
_FORGERIES_A_THOUSAND: Final = 50
_FULL_WIDTH: Final = str.maketrans("0123456789", "０１２３４５６７８９")


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """Codes of labels by serial, and codes that are sound and stand in no batch."""

    known: Sequence[tuple[int, str]]
    unknown: Iterator[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bring:
    """One request of a provider, with one arrival or, where it sends arrays, several."""

    provider: str
    arrivals: tuple[Arrival, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge:
    """Somebody else's request that looks like this arrival; ``way`` numbers what is wrong with it."""

    arrival: Arrival
    way: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Arrivals of one sender, each after the response to the one before."""

    arrivals: tuple[Arrival, ...]


Item = Bring | Forge | Script


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Everything that will happen, in the order in which it begins."""

    messages: list[Message]
    items: list[Item]
    heavy_senders: frozenset[str]

    @property
    def deliveries(self) -> int:
        return sum(len(item.arrivals) for item in self.items if not isinstance(item, Forge))


class _Writer:
    """Makes messages; numbers them as they come."""

    def __init__(self, dice: Random, codes: Codes, start: datetime) -> None:
        self.messages: list[Message] = []
        self._dice = dice
        self._codes = codes
        self._start = start
        self._slips: set[str] = set()

    def write(self, sender: str, text: str, **more: object) -> Message:
        number = len(self.messages)
        provider = more.pop("provider", None) or _pick(self._dice, _PROVIDERS)
        message = Message(
            number=number,
            provider=str(provider),
            sender=sender,
            text=text,
            sent_at=moment_of(number, self._start),
            fate=_pick(self._dice, _FATES),
            **more,  # type: ignore[arg-type]
        )
        self.messages.append(message)
        return message

    def code(self, sender: str, *, plain: bool = False, **more: object) -> Message:
        """Ask about a label; some labels are asked about far more often than others."""
        dice, known = self._dice, self._codes.known
        serial, code = known[int(len(known) * dice.random() ** 2)]
        if plain:
            return self.write(sender, code, serials=(serial,), **more)
        other_serial, other = known[dice.randrange(len(known))]
        layout = dice.choice(_LAYOUTS)
        more = {
            "serials": (serial, other_serial),
            "other_text": _laid_out(layout, other, code),
            "is_recorded": True,
            **more,
        }
        text = _laid_out(layout, code, other)
        return self.write(sender, text, **more)

    def unknown(self, sender: str, **more: object) -> Message:
        more = {"serials": (None,), "is_recorded": True, **more}
        return self.write(sender, f"查 {next(self._codes.unknown)}", **more)

    def slip(self, sender: str) -> Message:
        """Key one digit wrongly; never the same wrong code twice, which would be another question."""
        dice = self._dice
        while True:
            _, code = self._codes.known[dice.randrange(len(self._codes.known))]
            at = dice.randrange(len(code))
            wrong = code[:at] + str((int(code[at]) + dice.randint(1, 9)) % 10) + code[at + 1 :]
            if wrong not in self._slips:
                self._slips.add(wrong)
                return self.write(sender, wrong)


def make_traffic(seed: int, deliveries: int, codes: Codes, start: datetime) -> Traffic:
    """Return traffic of at least ``deliveries`` deliveries; equal arguments, equal traffic."""
    dice = Random(seed)
    writer = _Writer(dice, codes, start)
    placed: list[tuple[float, Item]] = []
    heavy = frozenset(f"+86137{number:08d}" for number in range(max(4, deliveries // 2_500)))
    for number in range(deliveries // 250):
        script = _script(writer, f"+86138{number:08d}", _pick(dice, _PROVIDERS))
        placed.append((dice.uniform(0, 0.9 * deliveries), script))
    for sender in sorted(heavy):
        placed += _flood(writer, dice, sender, at=dice.uniform(0, 0.9 * deliveries))
    left = deliveries - sum(len(item.arrivals) for _, item in placed if not isinstance(item, Forge))
    placed += _in_requests(dice, _ordinary(writer, dice, left))
    messages = writer.messages
    for way in range(deliveries * _FORGERIES_A_THOUSAND // 1_000):
        arrival = Arrival(message=dice.choice(messages))
        placed.append((dice.uniform(0, deliveries), Forge(arrival=arrival, way=way)))
    placed.sort(key=lambda one: one[0])
    for _, item in placed:
        if not isinstance(item, Forge):
            for arrival in item.arrivals:
                arrival.message.left += 1
    return Traffic(messages=messages, items=[item for _, item in placed], heavy_senders=heavy)


def _ordinary(writer: _Writer, dice: Random, deliveries: int) -> list[tuple[float, Arrival]]:
    """Texts of people who stay within the limits, each with its duplicates, by position."""
    senders = [f"+86139{number:08d}" for number in range(max(8, deliveries // 7))]
    texts: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    helped: set[str] = set()
    placed: list[tuple[float, Arrival]] = []
    while len(placed) < deliveries:
        copies = _pick(dice, _COPIES)
        sender = dice.choice(senders)
        while texts[sender] + 1 + copies > _MOST_TEXTS:
            sender = dice.choice(senders)
        texts[sender] += 1 + copies
        kind = dice.random()
        if kind < 0.14 and wrong[sender] + 1 + copies <= _MOST_WRONG:
            wrong[sender] += 1 + copies
            message = writer.unknown(sender) if kind < 0.08 else writer.slip(sender)
        elif kind > 0.97 and sender not in helped:
            helped.add(sender)
            message = writer.write(sender, dice.choice(("帮助", "HELP", "你好")))
        else:
            message = writer.code(sender)
        at = len(placed) + dice.uniform(0, 60)
        placed += _copies(dice, message, at, copies)
    return sorted(placed, key=lambda one: one[0])


def _copies(dice: Random, message: Message, at: float, copies: int) -> Iterable[tuple[float, Arrival]]:
    """The last copy's response always comes back; of the others half are lost, which is why there are copies."""
    positions = [at]
    for _ in range(copies):
        nearest, farthest = dice.choice(_DISTANCES)
        positions.append(positions[-1] + dice.uniform(nearest, farthest))
    for index, position in enumerate(positions):
        variant = _variant(dice, message) if index else Variant.SAME
        lost = index < copies and dice.random() < 0.5
        yield position, Arrival(message=message, variant=variant, is_lost=lost)


def _variant(dice: Random, message: Message) -> Variant:
    if message.provider == "twilio":
        choices = [Variant.SAME, Variant.OTHER_TOKEN]
        return dice.choice([*choices, Variant.OTHER_TEXT] if message.other_text else choices)
    if message.provider == "kannel" and message.is_recorded:
        return dice.choice((Variant.SAME, Variant.OTHER_ID))
    return Variant.SAME


def _in_requests(dice: Random, placed: list[tuple[float, Arrival]]) -> Iterator[tuple[float, Item]]:
    """Put what the gateway delivers into arrays of up to a dozen."""
    array: list[Arrival] = []
    room = 1
    position = 0.0
    for position, arrival in placed:
        if arrival.message.provider != "alibaba":
            yield position, Bring(provider=arrival.message.provider, arrivals=(arrival,))
            continue
        array.append(arrival)
        if len(array) >= room:
            yield position, Bring(provider="alibaba", arrivals=tuple(array))
            array, room = [], dice.choice((1, 1, 2, 5, 12))
    if array:
        yield position, Bring(provider="alibaba", arrivals=tuple(array))


def _flood(writer: _Writer, dice: Random, sender: str, *, at: float) -> Iterator[tuple[float, Item]]:
    """Somebody tries codes as fast as a machine can: some are answered, the rest meets silence."""
    guesses = dice.random() < 0.5
    for number in range(40):
        make = writer.unknown if guesses else writer.code
        message = make(sender, is_recorded=None, expected=Expected.AT_MOST_ONE)
        yield at + number, Bring(provider=message.provider, arrivals=(Arrival(message=message),))


def _script(writer: _Writer, sender: str, provider: str) -> Script:
    """Somebody changes the language, opts out, comes back and opts out again, while old commands come again."""

    def ask(expected: Expected = Expected.ONE, *, english: bool = True) -> Message:
        return writer.code(
            sender,
            plain=True,
            provider=provider,
            expected=expected,
            is_recorded=expected is Expected.ONE,
            is_english=english,
        )

    def order(text: str, expected: Expected = Expected.ONE) -> Message:
        return writer.write(sender, text, provider=provider, expected=expected)

    first, english, second = ask(english=False), order("EN"), ask()
    stop, unheard, pleading = order("STOP"), ask(Expected.NONE), order("HELP", Expected.NONE)
    start, third, fourth = order("START"), ask(), ask()
    stop_again, last = order("退订", Expected.AT_MOST_ONE), ask(Expected.NONE)
    told = (
        *(first, english, english, second, stop, unheard, stop, pleading, english),
        *(start, third, stop, fourth, stop_again, start, last),
    )
    return Script(arrivals=tuple(Arrival(message=message) for message in told))


def _laid_out(layout: str, code: str, other: str) -> str:
    """Write a code as people do; a layout with room for two codes takes ``other`` as well."""
    grouped = " ".join(code[at : at + 4] for at in range(0, len(code), 4))
    return layout.format(code, grouped, code.translate(_FULL_WIDTH), other)


def _pick(dice: Random, weights: Mapping[T, int]) -> T:
    return dice.choices(list(weights), list(weights.values()))[0]

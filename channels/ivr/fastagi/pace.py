"""How long a switch and a call may take. The defaults suit a real switch; tests are in a hurry."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds. ``grace_s`` is added to whatever a command itself takes (a prompt, a pause, a recording).

    ``turn_s`` bounds one turn of ours, ``call_s`` a whole call, ``farewell_s`` what calls get when the service stops.
    """

    environment_s: float = 5.0
    reply_s: float = 5.0
    grace_s: float = 10.0
    unknown_prompt_s: float = 60.0
    turn_s: float = 15.0
    call_s: float = 900.0
    farewell_s: float = 15.0
    parting_s: float = 1.0
    first_pause_s: float = 1.0
    longest_pause_s: float = 30.0

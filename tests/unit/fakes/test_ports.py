"""No two processes of a run are given the same port, and none that a system gives to outgoing connections."""

from tests.fakes.ports import BUS, share

FIRST_OUTGOING = 32_768  # Linux, as it is set up


def test_the_shares_of_a_run_have_nothing_in_common() -> None:
    for workers in (1, 2, 3, 8):
        shares = [share(f"gw{number}", workers) for number in range(workers)]
        given = {port for ports in shares for port in ports}
        assert len(given) == sum(map(len, shares))
        assert len(min(shares, key=len)) > 1_000, "more than a process asks for"
        assert max(given) + BUS < FIRST_OUTGOING
        assert not given & {port + BUS for port in given}


def test_a_run_of_one_process_has_them_all() -> None:
    assert share("", 1) == share("gw0", 1)
    assert share("", 1).stop - share("", 1).start == BUS

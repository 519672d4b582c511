"""A real server beside real commands: what is administered counts from the next query, keys and schema are guarded."""

import re

from app.cli.exits import Exit
from tests.acceptance.cli.conftest import Stock
from tests.acceptance.cli.shell import Server, Shell


def test_commands_beside_a_running_server(stock: Stock) -> None:
    shell, codes = stock.shell, stock.codes
    with shell.serving() as server:
        assert server.get("/readyz")[0] == 200
        status, answer = server.verify(codes[0])
        assert (status, answer["outcome"], answer["ordinal"]) == (200, "first", 1)
        assert shell.json("verify", codes[0])["ordinal"] == 2
        assert server.verify(codes[0])[1]["ordinal"] == 3
        shell.run("batch", "void", stock.batch, "--from", stock.serials[1], "--to", stock.serials[1])
        assert server.verify(codes[1])[1]["outcome"] == "voided"
        shell.run("batch", "recall", stock.batch, "--reason", "test")
        assert server.verify(codes[2])[1]["outcome"] == "recalled"
        shell.run("batch", "recall", stock.batch, "--lift", "--reason", "test")
        shell.run("keys", "rotate")
        new = shell.json("batch", "issue", "--product", stock.product, "--quantity", 1)
        path = shell.folder / "new.csv"
        shell.run("batch", "export", new["id"], "--out", path)
        code = path.read_text().splitlines()[1].split(",")[1]
        assert server.verify(code)[1]["outcome"] == "not_active"
        shell.run("batch", "activate", new["id"])
        assert server.verify(code)[1]["outcome"] == "first"
        log = server.log
    text = log.read_text()
    assert not any(digits in text for digits in (*codes, code))
    assert '"event":"stopped"' in text


def test_what_was_answered_survives_a_restart(stock: Stock) -> None:
    with stock.shell.serving() as server:
        assert server.verify(stock.codes[0])[1]["ordinal"] == 1
    with stock.shell.serving() as server:
        assert server.verify(stock.codes[0])[1]["ordinal"] == 2


def test_a_server_without_its_keys_guesses_nothing(stock: Stock) -> None:
    keys = stock.shell.folder / "keys.json"
    kept = keys.rename(keys.with_suffix(".kept"))
    with stock.shell.serving() as server:
        assert server.get("/livez")[0] == 200
        assert server.get("/readyz")[0] == 503
        for code in (stock.codes[0], "1" * 20):
            status, answer = server.verify(code)
            assert (status, answer["outcome"]) == (503, "unavailable")
        # a catalogue change makes the server look at its keys again: it must not heal half
        kept.rename(keys)
        stock.shell.run("batch", "activate", stock.batch)
        assert server.verify(stock.codes[0])[0] == 503
    assert "keys_unusable" in server.log.read_text()
    with stock.shell.serving() as server:
        assert server.verify(stock.codes[0])[1]["outcome"] == "first"


def test_an_old_schema_is_refused_until_it_is_upgraded(shell: Shell) -> None:
    shell.folder.mkdir()
    (shell.folder / "yanzhen.db").touch()
    for command in ("init", "demo"):
        assert "yanzhen db upgrade" in shell.run(command, expect=Exit.UNAVAILABLE).stderr
    run = shell.spawn("serve")
    assert (run.returncode, "yanzhen db upgrade" in run.stderr) == (Exit.UNAVAILABLE, True)
    assert "db upgrade" in shell.run("doctor", expect=Exit.REFUSED).stdout
    assert shell.json("db", "upgrade")["applied"]
    assert shell.json("db", "upgrade")["applied"] == []
    shell.run("init")


def test_no_database_no_service(shell: Shell) -> None:
    assert "yanzhen init" in shell.run("serve", expect=Exit.UNAVAILABLE).stderr


def test_an_unknown_channel_is_named(stock: Stock) -> None:
    run = stock.shell.spawn("serve", "--set", "channels=web,fax")
    assert (run.returncode, "fax" in run.stderr) == (Exit.USAGE, True)


def test_a_port_in_use_is_said(stock: Stock) -> None:
    with stock.shell.serving() as server:
        port = server.url.rpartition(":")[2]
        run = stock.shell.spawn("serve", "--port", port)
        assert (run.returncode, "--port" in run.stderr) == (Exit.UNAVAILABLE, True)


def samples(server: Server) -> dict[str, str]:
    """Return the table of the demonstration: digits -> outcome."""
    rows = re.findall(r"^((?:\d{4} ){5})\s*(\w+)", server.until_printed("Serving on"), re.MULTILINE)
    return {"".join(digits.split()): outcome for digits, outcome in rows}


def test_the_demonstration_tells_the_truth_of_now(shell: Shell) -> None:
    with shell.serving("demo") as server:
        table = samples(server)
        assert set(table.values()) == {
            *("first", "not_active", "recalled", "voided", "expired", "mistyped", "not_found"),
        }
        for code, outcome in table.items():
            status, answer = server.verify(code)
            assert (status, answer["outcome"]) == (200, outcome)
        assert "curl" in server.log.read_text() or "POST" in server.log.read_text()
    with shell.serving("demo", "--set", "throttle.enabled=false") as server:
        again = samples(server)
        assert list(again) == list(table)
        assert "repeat" in again.values()
        for code, outcome in again.items():
            assert server.verify(code)[1]["outcome"] == outcome


def test_the_demonstration_stays_away_from_real_brands(stock: Stock) -> None:
    assert "--data-dir" in stock.shell.run("demo", expect=Exit.REFUSED).stderr

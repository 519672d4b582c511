"""The command line from an empty folder to every kind of answer, as scripts use it."""

import json
import re
import stat
from pathlib import Path

import pytest

from app.cli.exits import Exit
from tests.acceptance.cli.conftest import Stock, export
from tests.acceptance.cli.shell import Shell


def verify(shell: Shell, code: str) -> str:
    return str(shell.json("verify", code)["outcome"])


def test_init_makes_what_is_missing_and_nothing_else(shell: Shell) -> None:
    said = shell.run("init").stdout
    assert "Back up" in said
    keys = shell.folder / "keys.json"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    before = keys.read_bytes()
    again = shell.json("init")
    assert (again["database_made"], again["key_file_made"]) == (False, False)
    assert keys.read_bytes() == before


def test_init_makes_no_new_keys_for_old_labels(stock: Stock) -> None:
    (stock.shell.folder / "keys.json").unlink()
    run = stock.shell.run("init", expect=Exit.UNAVAILABLE)
    assert "backup" in run.stderr
    assert not (stock.shell.folder / "keys.json").exists()


def test_a_process_of_its_own(stock: Stock) -> None:
    run = stock.shell.spawn("verify", stock.codes[9], "--json")
    assert (run.returncode, json.loads(run.stdout)["outcome"]) == (Exit.OK, "first")
    run = stock.shell.spawn("brand", "add")
    assert (run.returncode, run.stdout) == (Exit.USAGE, "")
    assert "Traceback" not in run.stderr


def test_from_first_check_to_repeat(stock: Stock) -> None:
    answer = stock.shell.json("verify", stock.codes[0])
    assert (answer["outcome"], answer["ordinal"]) == ("first", 1)
    assert answer["first"]["channel"] == "cli"
    assert answer["brand"]["name"] == "青禾"
    assert answer["message"]
    again = stock.shell.json("verify", stock.codes[0])
    assert (again["outcome"], again["ordinal"]) == ("repeat", 2)
    shown = stock.shell.run("verify", stock.codes[1], "--locale", "en").stdout
    assert shown.startswith("first: Matches our record, first check\n")
    assert "400-800-1234" in shown


def test_a_code_in_any_layout_and_a_slip(stock: Stock) -> None:
    code = stock.codes[2]
    assert verify(stock.shell, f"http://127.0.0.1:8315/q/{code}") == "first"
    grouped = stock.shell.json("verify", *(code[i : i + 4] for i in range(0, 20, 4)))
    assert grouped["ordinal"] == 2
    wrong = code[:6] + str((int(code[6]) + 1) % 10) + code[7:]
    slip = stock.shell.json("verify", wrong)
    assert (slip["outcome"], slip["ordinal"]) == ("mistyped", None)
    assert slip.get("slip_position") in ([7], None)
    assert verify(stock.shell, "hello") == "mistyped"


def test_the_life_of_labels(stock: Stock) -> None:
    shell, batch, serials, codes = stock.shell, stock.batch, stock.serials, stock.codes
    shell.run("batch", "void", batch, "--from", serials[0], "--to", serials[1], "--reason", "stolen")
    assert [verify(shell, code) for code in codes[:3]] == ["voided", "voided", "first"]
    spoiled = shell.folder / "spoiled.csv"
    spoiled.write_text(f"code\n{codes[3]}\n{codes[5]}\n")
    assert shell.json("batch", "void", "--codes", spoiled)["labels"] == 2
    assert [verify(shell, codes[3]), verify(shell, codes[4]), verify(shell, codes[5])] == [
        "voided",
        "first",
        "voided",
    ]
    shell.run("batch", "expire", batch, "--from", serials[6], "--to", serials[6])
    assert verify(shell, codes[6]) == "expired"
    shell.run("batch", "recall", batch, expect=Exit.REFUSED)
    shell.run("batch", "recall", batch, "--reason", "metal splinters")
    assert [verify(shell, code) for code in (codes[0], codes[7])] == ["recalled", "recalled"]
    shell.run("batch", "recall", batch, "--lift", "--reason", "cleared")
    assert verify(shell, codes[8]) == "first"
    states = {row["id"]: row for row in shell.json("batch", "list")}[batch]["states"]
    assert states == {"active": 5, "voided": 4, "expired": 1}
    shown = shell.json("batch", "show", batch)
    assert sum(row["to"] - row["from"] + 1 for row in shown["ranges"]) == 10


def test_printed_but_not_activated(stock: Stock) -> None:
    batch = stock.shell.json("batch", "issue", "--product", stock.product, "--quantity", 3, "--layout", 16)
    _, codes = export(stock.shell, batch["id"])
    assert {len(code) for code in codes} == {16}
    assert verify(stock.shell, codes[0]) == "not_active"
    stock.shell.run("batch", "activate", batch["id"])
    assert verify(stock.shell, codes[0]) == "first"


def test_an_export_is_the_same_for_ever(stock: Stock) -> None:
    one, two = stock.shell.folder / "one.csv", stock.shell.folder / "two.csv"
    stock.shell.run("batch", "export", stock.batch, "--out", one)
    stock.shell.run("keys", "rotate")
    stock.shell.run("batch", "export", stock.batch, "--out", two)
    assert one.read_bytes() == two.read_bytes()
    part = stock.shell.folder / "part.csv"
    first, last = stock.serials[2], stock.serials[4]
    stock.shell.run("batch", "export", stock.batch, "--out", part, "--from", first, "--to", last)
    assert part.read_text().splitlines()[1:] == one.read_text().splitlines()[3:6]


def test_rotated_keys_keep_old_labels_valid(stock: Stock) -> None:
    assert "Back up" in stock.shell.run("keys", "rotate").stdout
    keys = stock.shell.json("keys", "list")
    assert [key["name"] for key in keys if key["current"]] == ["tag/2"]
    assert {key["state"] for key in keys} == {"fits"}
    assert verify(stock.shell, stock.codes[0]) == "first"
    new = stock.shell.json("batch", "issue", "--product", stock.product, "--quantity", 2)
    _, codes = export(stock.shell, new["id"])
    stock.shell.run("batch", "activate", new["id"])
    assert verify(stock.shell, codes[1]) == "first"


def test_codes_of_another_system(stock: Stock) -> None:
    foreign = stock.shell.folder / "foreign.csv"
    digits = [f"9{number:017d}" for number in range(1234, 1239)]
    foreign.write_text("\n".join(["code", *digits]) + "\n")
    batch = stock.shell.json("batch", "import", "--product", stock.product, foreign)["id"]
    assert verify(stock.shell, digits[0]) == "not_active"
    stock.shell.run("batch", "activate", batch)
    assert [verify(stock.shell, digits[0]), verify(stock.shell, digits[0])] == ["first", "repeat"]
    assert verify(stock.shell, "9" + "0" * 17) == "not_found"
    again = stock.shell.run("batch", "import", "--product", stock.product, foreign, expect=Exit.REFUSED)
    assert "imported before" in again.stderr
    out = stock.shell.folder / "no.csv"
    refused = stock.shell.run("batch", "export", batch, "--out", out, expect=Exit.REFUSED)
    assert "made elsewhere" in refused.stderr


def test_artwork(stock: Stock) -> None:
    folder = stock.shell.folder
    stock.shell.run("label", "art", stock.codes[0], "--out", folder / "one.svg")
    stock.shell.run("label", "art", stock.codes[0], "--out", folder / "one.png")
    stock.shell.run("label", "art", "--batch", stock.batch, "--out", folder / "sheet.pdf")
    assert (folder / "one.svg").read_bytes().startswith(b"<svg")
    assert (folder / "one.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "sheet.pdf").read_bytes().startswith(b"%PDF")
    stock.shell.run("label", "art", stock.codes[0], "--out", folder / "one.gif", expect=Exit.USAGE)
    stock.shell.run("label", "art", "1" * 20, "--out", folder / "x.svg", expect=Exit.NOT_FOUND)


def test_lists(stock: Stock) -> None:
    stock.shell.run("programme", "add", "--name", "质量月标识", "--name-en", "Quality Month")
    assert [row["name"] for row in stock.shell.json("brand", "list")] == ["青禾"]
    assert [row["thresholds"] for row in stock.shell.json("product", "list")] == ["1,4"]
    assert [row["name_en"] for row in stock.shell.json("programme", "list")] == ["Quality Month"]
    for name in ("brand", "product", "programme", "batch"):
        table = stock.shell.run(name, "list").stdout.splitlines()
        assert table[0].startswith("ID")
        assert len(table) == 2


def test_a_product_may_have_a_picture(stock: Stock) -> None:
    address = "https://brand.example/p/1.jpg"
    stock.shell.run("product", "add", "--brand", "1", "--name", "米粉", "--picture-url", address)
    assert [row["picture_url"] for row in stock.shell.json("product", "list")] == [None, address]
    assert address in stock.shell.run("product", "list").stdout
    http = address.replace("https", "http")
    refused = stock.shell.run(
        "product", "add", "--brand", "1", "--name", "x", "--picture-url", http, expect=Exit.USAGE
    )
    assert "https" in refused.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("product", "add", "--brand", "99", "--name", "x"), Exit.NOT_FOUND),
        (("batch", "issue", "--product", "99", "--quantity", "1"), Exit.NOT_FOUND),
        (("batch", "show", "99"), Exit.NOT_FOUND),
        (("batch", "activate", "99"), Exit.NOT_FOUND),
        (("batch", "activate", "1", "--from", "1"), Exit.REFUSED),
        (("batch", "issue", "--product", "1", "--quantity", "1e9", "--layout", "16"), Exit.REFUSED),
        (("batch", "issue", "--product", "1", "--quantity", "0"), Exit.USAGE),
        (("batch", "void"), Exit.USAGE),
        (("batch", "show", "one"), Exit.USAGE),
        (("batch", "recall", "1", "--reason", "a\x1b[31m"), Exit.USAGE),
        (("brand", "add", "--name", "x", "--disclosure", "none"), Exit.USAGE),
        (("batch", "export", "1", "--out", "/dev/null/labels.csv"), Exit.UNAVAILABLE),
        (("product", "add", "--brand", "1", "--name", "x", "--gtin", "4006381333932"), Exit.USAGE),
        (("brand", "add", "--name", " "), Exit.USAGE),
    ],
)
def test_refusals_say_what_to_do(stock: Stock, words: tuple[str, ...], code: Exit) -> None:
    run = stock.shell.run(*words, expect=code)
    assert run.stderr.startswith("yanzhen")
    assert run.stdout == ""
    if code is not Exit.USAGE:
        error = json.loads(stock.shell.run(*words, "--json", expect=code).stderr)
        assert error.keys() == {"error", "message"}


def test_without_or_with_wrong_keys_nothing_is_guessed(stock: Stock, tmp_path: Path) -> None:
    keys = stock.shell.folder / "keys.json"
    kept = keys.read_bytes()
    keys.unlink()
    run = stock.shell.run("verify", stock.codes[0], "--json", expect=Exit.UNAVAILABLE)
    assert json.loads(run.stdout)["outcome"] == "unavailable"
    assert "no key file" in run.stderr
    other = Shell(tmp_path / "other")
    other.run("init")
    keys.write_bytes((other.folder / "keys.json").read_bytes())
    keys.chmod(0o600)
    run = stock.shell.run("verify", stock.codes[0], "--json", expect=Exit.UNAVAILABLE)
    assert json.loads(run.stdout)["outcome"] == "unavailable"
    assert "belongs to another database" in run.stderr
    stock.shell.run("batch", "issue", "--product", stock.product, "--quantity", 1, expect=Exit.UNAVAILABLE)
    stock.shell.run("keys", "rotate", expect=Exit.UNAVAILABLE)
    keys.write_bytes(kept)
    assert verify(stock.shell, stock.codes[0]) == "first"


def test_doctor(stock: Stock) -> None:
    report = stock.shell.json("doctor")
    checks = {check["check"]: check["state"] for check in report["checks"]}
    assert report["ok"]
    assert {
        name: checks[name] for name in ("database", "schema", "durability", "soundness", "keys", "clock")
    } == (dict.fromkeys(("database", "schema", "durability", "soundness", "keys", "clock"), "ok"))
    assert checks["public_url"] == "warning"
    (stock.shell.folder / "keys.json").chmod(0o644)
    run = stock.shell.run("doctor", expect=Exit.REFUSED)
    assert "chmod 600" in run.stdout


def test_doctor_of_a_hotline(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def look() -> dict[str, tuple[str, str]]:
        report = shell.json("doctor")
        return {check["check"]: (check["state"], check["text"]) for check in report["checks"]}

    shell.run("init")
    assert not {"voice", "operator"} & look().keys(), "no calls, no voice"
    monkeypatch.setenv("YANZHEN_IVR__TWILIO__AUTH_TOKENS", "a-token-of-ours")
    voice, operator = look()["voice"], look()["operator"]
    assert voice[0] == "warning"
    missing, clips = re.findall(r"\d+", voice[1])
    assert int(missing) == int(clips) > 100
    assert "speech" in voice[1]
    assert operator[0] == "ok"
    assert "YANZHEN_IVR__OPERATOR" in operator[1]
    monkeypatch.setenv("YANZHEN_IVR__OPERATOR", "+8610 6666 8888")
    assert look()["operator"] == ("ok", "+8610 6666 8888")


def test_doctor_of_accounts_on_wechat(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(expect: Exit = Exit.OK) -> list[tuple[str, str]]:
        said = shell.run("doctor", "--json", expect=expect)
        return [
            (check["state"], check["text"])
            for check in json.loads(said.stdout)["checks"]
            if check["check"] == "wechat"
        ]

    def tell(account: str, **fields: str) -> None:
        for name, field in fields.items():
            monkeypatch.setenv(f"YANZHEN_WECHAT__{account}__{name}", field)

    shell.run("init")
    assert look() == []
    tell("OFFICIAL_ACCOUNT", TOKEN="tokenOfTheAccount")
    tell("MINI_PROGRAM", TOKEN="tokenOfTheProgram", APP_ID="wx0000000000000002", APP_SECRET="secret")
    (official, program) = look()
    assert official[0] == program[0] == "warning"
    assert "official-account in plain mode" in official[1]
    assert "security mode" in official[1]
    assert "later answers are lost" in official[1]
    assert "security mode" in program[1]
    assert "lost" not in program[1]
    tell("OFFICIAL_ACCOUNT", APP_ID="wx0000000000000001", ENCODING_AES_KEY="a" * 43, APP_SECRET="secret")
    tell("MINI_PROGRAM", ENCODING_AES_KEY="b" * 43, APP_SECRET="")
    official, program = look()
    assert official == ("ok", "official-account in encrypted mode")
    assert program[0] == "warning"
    assert "every answer is lost" in program[1]
    tell("MINI_PROGRAM", ENCODING_AES_KEY="too-short")
    ((state, text),) = look(expect=Exit.REFUSED)
    assert state == "failed"
    assert "wechat.mini_program.encoding_aes_key" in text


def test_doctor_of_nothing(shell: Shell) -> None:
    assert "yanzhen init" in shell.run("doctor", expect=Exit.REFUSED).stdout

"""Which commands there are: name, module and one line of help. A module is imported only when its command runs."""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` itself would take an eighth of the time of --help
if TYPE_CHECKING:
    from typing import Final


class Command:
    """``name`` is one or two words; ``module`` has ``add_arguments(parser)`` and ``run(arguments) -> int``."""

    __slots__ = ("help", "module", "name")

    def __init__(self, name: str, module: str, help: str) -> None:  # noqa: A002 - argparse's word
        self.name = name
        self.module = module
        self.help = help


GROUPS: Final = {
    "brand": "brand owners' marks",
    "product": "products of a brand",
    "programme": "label programmes of the association",
    "batch": "code batches: issue, export, life cycle",
    "label": "artwork of labels",
    "keys": "the key file",
    "db": "the database",
    "simulate": "try a channel without an account",
    "caller": "what is kept of callers",
    "report": "what people found suspicious",
    "prompts": "what the hotline says",
    "wechat": "accounts on WeChat",
}

COMMANDS: Final = (
    Command("demo", "app.cli.demo", "make a demonstration, print sample codes and serve"),
    Command("serve", "app.cli.serve", "serve the channels until stopped"),
    Command("init", "app.cli.init", "make the data folder, the database and the key file"),
    Command("verify", "app.cli.verify", "check one code; the query is recorded"),
    Command("brand add", "app.cli.brand_add", "add a brand"),
    Command("brand list", "app.cli.brand_list", "list the brands"),
    Command("product add", "app.cli.product_add", "add a product to a brand"),
    Command("product list", "app.cli.product_list", "list the products"),
    Command("programme add", "app.cli.programme_add", "add a label programme"),
    Command("programme list", "app.cli.programme_list", "list the label programmes"),
    Command("batch issue", "app.cli.batch_issue", "issue a batch of codes"),
    Command("batch import", "app.cli.batch_import", "take over codes that another system made"),
    Command("batch export", "app.cli.batch_export", "write the label file of a batch"),
    Command("batch list", "app.cli.batch_list", "list the batches"),
    Command("batch show", "app.cli.batch_show", "show one batch and the states of its labels"),
    Command("batch activate", "app.cli.batch_activate", "put labels into circulation"),
    Command("batch void", "app.cli.batch_void", "void stolen, destroyed or spoiled labels"),
    Command("batch expire", "app.cli.batch_expire", "end the checking of labels"),
    Command("batch recall", "app.cli.batch_recall", "recall a batch, or lift its recall"),
    Command("label art", "app.cli.label_art", "draw the QR code of a label, or a proof sheet of a batch"),
    Command("keys list", "app.cli.keys_list", "list the ids of the keys, never the keys"),
    Command("keys rotate", "app.cli.keys_rotate", "add a tag key for the batches to come"),
    Command("db upgrade", "app.cli.db_upgrade", "bring the database schema up to date"),
    Command("backup", "app.cli.backup", "write the database to a backup file, while the service runs"),
    Command("restore", "app.cli.restore", "look a backup over and put it in place of nothing"),
    Command("simulate sms", "app.cli.simulate_sms", "text a running server and print its reply"),
    Command("simulate call", "app.cli.simulate_call", "call a running server's hotline and press keys"),
    Command("simulate wechat", "app.cli.simulate_wechat", "write to a running server as WeChat would"),
    Command("caller erase", "app.cli.caller_erase", "forget who a caller is"),
    Command("report list", "app.cli.report_list", "list what people reported as suspicious"),
    Command("prompts render", "app.cli.prompts_render", "make the clips that are missing"),
    Command("prompts check", "app.cli.prompts_check", "look over every clip and how it would sound"),
    Command("prompts listen", "app.cli.prompts_listen", "show one clip, and play it"),
    Command("prompts export", "app.cli.prompts_export", "lay the clips down for a telephone switch"),
    Command("wechat menu", "app.cli.wechat_menu", "put the menu on an official account"),
    Command("doctor", "app.cli.doctor", "check that this installation can serve"),
    Command("reference", "app.cli.reference", "print the generated reference: settings, outcomes, commands"),
)

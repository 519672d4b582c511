"""Every phrase the dialogue itself speaks, by its key in the catalogue of ``voice_prompts``.

The comment above a phrase is its sentence in English and in Mandarin; the catalogue owns the words. Verdicts
and hints about slips come ready to speak with the reply, digits from ``app.speech.phrasing``.
"""

from __future__ import annotations

from typing import Final

from app.speech.spoken import Phrase

# -- the beginning: together at most 5 s -----------------------------------------------------------------------------
# Welcome to the product check line. / 您好，欢迎拨打验真热线。
GREETING: Final = Phrase(key="greeting")
# Spoken by the voice of the language it offers: For English, press nine. in Mandarin calls,
# 中文请按九。 in English ones.
LANGUAGE_OFFER: Final = Phrase(key="language.offer")

# -- keying in the code ----------------------------------------------------------------------------------------------
# Please key in the digits under the coating, then press hash. / 请输入涂层下的数字，按井号键结束。
ENTRY_PROMPT: Final = Phrase(key="entry.prompt")
# Please key in all the digits again. / 请重新输入全部数字。
ENTRY_AGAIN: Final = Phrase(key="entry.again")
# Please key them in again. / 请重新输入。
ENTRY_ONCE_MORE: Final = Phrase(key="entry.once_more")
# Please go on. / 请接着输入。
ENTRY_MORE: Final = Phrase(key="entry.more")
# No key was received. Please key in the digits under the coating. / 没有收到按键，请输入涂层下的数字。
ENTRY_SILENCE: Final = Phrase(key="entry.silence")
# Key in the digits first, then press hash. / 请先输入数字，再按井号键。
ENTRY_EMPTY: Final = Phrase(key="entry.empty")

# -- slips, around the hint of the reply ------------------------------------------------------------------------------
# You keyed in: ... / 您输入的是：……
SLIP_READ_BACK: Final = Phrase(key="slip.read_back")
# Please key them in again, or for an operator press zero and hash.
# / 请重新输入，人工请按零和井号键。
SLIP_OPERATOR: Final = Phrase(key="slip.operator")
# Please key them in again, or call the number on the pack.
# / 请重新输入，也可以拨打包装上的电话。
SLIP_NO_OPERATOR: Final = Phrase(key="slip.no_operator")

# -- after the verdict, in this order; the menu stands behind every answer, so each choice is a few words ------------
# To hear it again, press star. / 重听请按星号。
MENU_REPEAT: Final = Phrase(key="menu.repeat")
# To check another, press one. / 再查一个请按一。
MENU_ANOTHER: Final = Phrase(key="menu.another")
# To report a problem, press two. / 举报请按二。
MENU_REPORT: Final = Phrase(key="menu.report")
# For an operator, press zero. / 人工请按零。
MENU_OPERATOR: Final = Phrase(key="menu.operator")
MENU: Final = (MENU_REPEAT, MENU_ANOTHER, MENU_REPORT, MENU_OPERATOR)
# That key is not used here. / 这个按键没有对应的选项。
MENU_STRAY: Final = Phrase(key="menu.stray")

# -- reporting, operators --------------------------------------------------------------------------------------------
# Your message will be recorded and kept for ninety days. After the tone, say what you saw and where you bought it,
# then press hash. / 您的留言将被录音，并保存九十天。请在提示音后说明情况和购买地点，说完按井号键。
REPORT_RECORD: Final = Phrase(key="report.record")
# Thank you, your report is recorded. / 谢谢，您反映的情况已经记录。
REPORT_THANKS: Final = Phrase(key="report.thanks")
# Reports cannot be taken on this line just now. Please call the number on the pack.
# / 这里暂时不能受理，请拨打包装上的电话反映。
REPORT_NONE: Final = Phrase(key="report.none")
# You are being put through to an operator. / 正在为您转接人工服务。
TRANSFER_OPERATOR: Final = Phrase(key="transfer.operator")
# You are being put through to the brand's service line. / 正在为您转接品牌客服。
TRANSFER_BRAND: Final = Phrase(key="transfer.brand")
# The call could not be put through. / 暂时没有接通。
TRANSFER_FAILED: Final = Phrase(key="transfer.failed")
# There is no operator on this line. Please call the number on the pack. / 本热线没有人工服务，请拨打包装上的电话。
OPERATOR_NONE: Final = Phrase(key="operator.none")

# -- endings ---------------------------------------------------------------------------------------------------------
# Thank you for calling. Goodbye. / 感谢来电，再见。
GOODBYE: Final = Phrase(key="goodbye")
# Several codes keyed in on this call are not in our record, so no more can be checked now. Please compare them with
# the label and call again later. / 本次通话中有多个码不在记录中，暂时不能继续查询。请对照标签核对，稍后再打来。
LIMIT_WRONG: Final = Phrase(key="limit.wrong")
# No more codes can be checked on this call. Please call again. / 本次通话的查询次数已满，请再次拨打。
LIMIT_CALL: Final = Phrase(key="limit.call")

PHRASES: Final = tuple(item for item in list(globals().values()) if isinstance(item, Phrase))

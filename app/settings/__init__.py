"""The one frozen settings tree: sections in ``parts``, what may be written in ``types``, how it is read in ``tree``."""

from app.settings.parts import EngineSettings, IvrSettings, SmsSettings, ThrottleSettings
from app.settings.tree import (
    PREFIX,
    SettingHelp,
    Settings,
    describe_settings,
    load_settings,
    unknown_environment,
)

__all__ = [
    "PREFIX",
    "EngineSettings",
    "IvrSettings",
    "SettingHelp",
    "Settings",
    "SmsSettings",
    "ThrottleSettings",
    "describe_settings",
    "load_settings",
    "unknown_environment",
]

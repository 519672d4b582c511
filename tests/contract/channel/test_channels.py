"""Every registered channel keeps the contract, and so does a new one of one folder and one registry line."""

from __future__ import annotations

import pytest

from channels.registry import CHANNELS, load_channels
from tests.contract.channel.bindings import BINDINGS, ApiBinding, ToyBinding, WebBinding
from tests.contract.channel.fastagi_binding import FastAgiBinding
from tests.contract.channel.ivr_bindings import TwilioVoiceBinding
from tests.contract.channel.mini_program_api_binding import MiniProgramApiBinding
from tests.contract.channel.sms_bindings import GatewayBinding, KannelBinding, SmppBinding, TwilioBinding
from tests.contract.channel.suite import ChannelBinding, ChannelContract
from tests.contract.channel.toy_channel.adapter import ToyAdapter
from tests.contract.channel.wechat_bindings import (
    MiniProgramJsonBinding,
    MiniProgramXmlBinding,
    OfficialCompatibleBinding,
    OfficialEncryptedBinding,
    OfficialPlainBinding,
)
from tests.fakes.sample_service import start_sample_service


class TestWeb(ChannelContract):
    @pytest.fixture
    def binding(self) -> ChannelBinding:
        return WebBinding()


class TestApi(ChannelContract):
    @pytest.fixture
    def binding(self) -> ChannelBinding:
        return ApiBinding()


class TestTwilio(ChannelContract):
    @pytest.fixture
    def binding(self) -> ChannelBinding:
        return TwilioBinding()


class TestKannel(ChannelContract):
    @pytest.fixture
    def binding(self) -> ChannelBinding:
        return KannelBinding()


class TestGateway(ChannelContract):
    @pytest.fixture
    def binding(self) -> ChannelBinding:
        return GatewayBinding()


class TestSmpp(ChannelContract):
    @pytest.fixture
    def binding(self) -> ChannelBinding:
        return SmppBinding()


class TestTwilioVoice(ChannelContract):
    @pytest.fixture
    def binding(self) -> ChannelBinding:
        return TwilioVoiceBinding()


class TestFastAgi(ChannelContract):
    @pytest.fixture
    def binding(self) -> ChannelBinding:
        return FastAgiBinding()


class TestOfficialEncrypted(ChannelContract):
    @pytest.fixture
    def binding(self) -> ChannelBinding:
        return OfficialEncryptedBinding()


class TestOfficialCompatible(ChannelContract):
    @pytest.fixture
    def binding(self) -> ChannelBinding:
        return OfficialCompatibleBinding()


class TestOfficialPlain(ChannelContract):
    @pytest.fixture
    def binding(self) -> ChannelBinding:
        return OfficialPlainBinding()


class TestMiniProgramXml(ChannelContract):
    @pytest.fixture
    def binding(self) -> ChannelBinding:
        return MiniProgramXmlBinding()


class TestMiniProgramJson(ChannelContract):
    @pytest.fixture
    def binding(self) -> ChannelBinding:
        return MiniProgramJsonBinding()


class TestMiniProgramApi(ChannelContract):
    @pytest.fixture
    def binding(self) -> ChannelBinding:
        return MiniProgramApiBinding()


class TestToy(ChannelContract):
    @pytest.fixture
    def binding(self) -> ChannelBinding:
        return ToyBinding()


def test_every_registered_channel_has_a_binding() -> None:
    assert BINDINGS.keys() == CHANNELS.keys()
    bound = {type(binding()) for bindings in BINDINGS.values() for binding in bindings}
    assert all(f"Test{kind.__name__.removesuffix('Binding')}" in globals() for kind in bound)


async def test_a_channel_is_one_folder_and_one_registry_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CHANNELS, "toy", "tests.contract.channel.toy_channel.adapter:make_adapters")
    service = await start_sample_service()
    adapters = load_channels(("web", "toy", "api"), service.context)
    assert [adapter.manifest.name for adapter in adapters] == ["web", "toy", "api"]
    assert isinstance(adapters[1], ToyAdapter)
    await service.engine.close()


async def test_an_unknown_channel_is_named_with_the_known_ones() -> None:
    service = await start_sample_service()
    with pytest.raises(KeyError, match=r"carrier_pigeon.*Known: api, ivr, sms, web, wechat"):
        load_channels(("carrier_pigeon",), service.context)
    await service.engine.close()


def test_every_channel_stands_under_its_own_name() -> None:
    for name, dotted in CHANNELS.items():
        module, _, factory = dotted.partition(":")
        assert module.startswith("channels.")
        assert factory == "make_adapters"
        assert name.isidentifier()

"""rediss: a relay speaks TLS in front of a server, with a certificate that the address names."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.adapters.cache.redis import RedisCache
from tests.fakes.redis_server import RedisServer
from tests.integration.redis.conftest import Connect
from tests.integration.redis.relay import relay_to

pytestmark = pytest.mark.xdist_group("redis")


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis of a test")])
    begins = datetime(2026, 1, 1, tzinfo=UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "redis.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


async def test_only_a_trusted_server_is_spoken_to(
    connect: Connect, empty_server: RedisServer, tmp_path: Path
) -> None:
    path = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    async with relay_to(empty_server.port, context) as relay:
        trusting = await connect(f"rediss://127.0.0.1:{relay.port}/0?ca={path}")
        assert trusting.up
        cache = RedisCache(trusting, budget_s=10)
        await cache.put("key", b"value", ttl_s=60)
        assert await cache.find("key") == b"value"
        assert not (await connect(f"rediss://127.0.0.1:{relay.port}/0")).up
        assert not (await connect(f"rediss://localhost:{relay.port}/0?ca={path}")).up

"""Write the bill of materials (CycloneDX 1.6, JSON) of what is installed and served: the locked Python packages with
the hashes that pip holds them to, the extras as optional, and the browser files that `make setup` fetches.

The same locks give the same bytes.
"""

from __future__ import annotations

import base64
import importlib.metadata
import json
import os
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parents[1]
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_WORDS = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A locked package; ``hashes`` are SHA-256 of its distributions, or SHA-512 of its one archive from npm."""

    kind: str
    name: str
    version: str
    licence: str
    hashes: tuple[str, ...]
    required: bool

    @property
    def purl(self) -> PackageURL:
        """Its package URL."""
        return PackageURL(self.kind, None, self.name, self.version)


def pins(lock: Path) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield name, version and hashes of each package that ``lock`` pins."""
    for block in re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8")):
        if found := _PIN.match(block):
            yield found[1], found[2], tuple(_HASH.findall(block))


def materials(root: Path = ROOT) -> list[Locked]:
    """Return everything that is installed or served, by name. Raises ``KeyError`` for a package without a licence."""
    written = tomllib.loads((root / "requirements/licences.toml").read_text(encoding="utf-8"))["python"]
    licences = {_plain(name): licence for name, licence in written.items()}
    runtime = {_plain(name) for name, _, _ in pins(root / "requirements/runtime.lock")}
    wanted = runtime | _closure(_extras(root))
    found = [
        Locked(
            kind="pypi",
            name=_plain(name),
            version=version,
            licence=licences.get(_plain(name)) or declared_licence(name) or _missing(name),
            hashes=hashes,
            required=_plain(name) in runtime,
        )
        for name, version, hashes in pins(root / "requirements/dev.lock")
        if _plain(name) in wanted
    ]
    return sorted([*found, *_browser_files(root)], key=lambda one: (one.kind, one.name, one.version))


def declared_licence(name: str) -> str | None:
    """Return the SPDX expression in the metadata of an installed package, or None."""
    try:
        return importlib.metadata.metadata(name).get("License-Expression")
    except importlib.metadata.PackageNotFoundError:
        return None


def bill(found: Sequence[Locked], version: str, made_at: datetime) -> str:
    """Return the document. Two calls with equal values return equal text."""
    licences = LicenseFactory()
    root = Component(
        name="yanzhen",
        version=version,
        type=ComponentType.APPLICATION,
        licenses=[licences.make_from_string("Apache-2.0")],
        bom_ref=f"yanzhen@{version}",
    )
    components = [_component(one, licences) for one in found]
    bom = Bom(components=components, serial_number=uuid.uuid5(uuid.NAMESPACE_URL, repr((version, found))))
    bom.metadata.component = root
    bom.metadata.timestamp = made_at
    bom.register_dependency(root, components)
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2) + "\n"


def _component(one: Locked, licences: LicenseFactory) -> Component:
    algorithm = HashAlgorithm.SHA_256 if one.kind == "pypi" else HashAlgorithm.SHA_512
    archives = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(str(one.purl)),
        hashes=[HashType(alg=algorithm, content=content) for content in one.hashes],
    )
    return Component(
        name=one.name,
        version=one.version,
        type=ComponentType.LIBRARY,
        scope=ComponentScope.REQUIRED if one.required else ComponentScope.OPTIONAL,
        purl=one.purl,
        bom_ref=str(one.purl),
        licenses=[licences.make_from_string(one.licence)],
        external_references=[archives],
    )


def _browser_files(root: Path) -> Iterator[Locked]:
    packages = json.loads((root / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for name in packages[""]["dependencies"]:
        entry = packages[f"node_modules/{name}"]
        algorithm, _, digest = entry["integrity"].partition("-")
        if algorithm != "sha512":
            raise ValueError(f"{name} is locked by {algorithm}, not sha512: run make lock")
        yield Locked(
            kind="npm",
            name=name,
            version=entry["version"],
            licence=entry["license"],
            hashes=(base64.b64decode(digest).hex(),),
            required=False,
        )


def _project(root: Path) -> Mapping[str, object]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]  # type: ignore[no-any-return]


def _extras(root: Path) -> set[str]:
    extras: Mapping[str, list[str]] = _project(root)["optional-dependencies"]  # type: ignore[assignment]
    return {_named(line) for lines in extras.values() for line in lines}


def _closure(names: set[str]) -> set[str]:
    """Return ``names`` and all that they require on this machine."""
    seen: set[str] = set()
    waiting = set(names)
    while waiting:
        seen |= waiting
        lines = [line for name in waiting for line in _requires(name) if "extra ==" not in line]
        waiting = {_named(line) for line in lines} - seen
    return seen


def _requires(name: str) -> list[str]:
    try:
        return importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []


def _named(requirement: str) -> str:
    return _plain(_WORDS.findall(requirement)[0])


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _missing(name: str) -> str:
    raise KeyError(
        f"{name} declares no SPDX licence: read its licence file and add it to requirements/licences.toml"
    )


def main() -> None:
    """Write the document to the path given, or to standard output."""
    made_at = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), UTC)
    document = bill(materials(), str(_project(ROOT)["version"]), made_at)
    if len(sys.argv) > 1:
        path = Path(sys.argv[1])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document, encoding="utf-8")
        print(f"{path}: {document.count('bom-ref') - 1} entries")
    else:
        sys.stdout.write(document)


if __name__ == "__main__":
    main()

"""``make pin-images`` against a registry on this machine that asks for a token, as public ones do."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[3]
FILES: Final = ("Dockerfile", "compose.yaml")
IMAGES: Final = ("library/python:3.11-slim-bookworm", "apache/kafka-native:4.1.0")
PINNED: Final = re.compile(r"@sha256:[0-9a-f]{64}")


class Registry(ThreadingHTTPServer):
    """Serves manifests by image and tag to who has its token."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.manifests = {image: manifest(image) for image in IMAGES}


class Answers(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        scope = re.fullmatch(r"/token\?service=here&scope=repository%3A(.+)%3Apull", self.path)
        asked = re.fullmatch(r"/v2/(.+)/manifests/(.+)", self.path)
        if scope is not None:
            self.answer(200, json.dumps({"token": scope[1].replace("%2F", "/")}).encode())
        elif asked is None or f"{asked[1]}:{asked[2]}" not in self.server.manifests:
            self.answer(404, b"{}")
        elif self.headers["Authorization"] != f"Bearer {asked[1]}":
            realm = f'realm="{self.server.address}/token",service="here",scope="repository:{asked[1]}:pull"'
            self.answer(401, b"{}", {"WWW-Authenticate": f"Bearer {realm}"})
        elif "oci.image.index.v1+json" in self.headers["Accept"]:
            self.answer(200, self.server.manifests[f"{asked[1]}:{asked[2]}"])
        else:
            self.answer(406, b"{}")

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def manifest(image: str) -> bytes:
    return json.dumps({"schemaVersion": 2, "manifests": [], "annotations": {"of": image}}).encode()


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).write_text(PINNED.sub("", (ROOT / name).read_text("utf-8")), "utf-8")
    return tmp_path


def pin(folder: Path, *registry: str) -> tuple[int, str]:
    """Exit code and last line of what was said."""
    run = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "pin_images.py"), *registry],
        cwd=folder,
        env={"PATH": str(folder)},  # no docker
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return run.returncode, (run.stdout + run.stderr).splitlines()[-1]


def digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def test_the_digests_of_the_tags_are_written_behind_them_and_nothing_else(folder: Path, registry: Registry) -> None:
    before = {name: (folder / name).read_text() for name in FILES}
    for _ in range(2):  # the second time with other digests
        assert pin(folder, registry.address)[0] == 0
        python, kafka = (digest(registry.manifests[image]) for image in IMAGES)
        assert f"\nARG PYTHON_PINNED=3.11-slim-bookworm@{python}\n" in (folder / "Dockerfile").read_text()
        assert (
            f"image: apache/kafka-native:${{KAFKA_VERSION:-4.1.0@{kafka}}}\n" in (folder / "compose.yaml").read_text()
        )
        assert {name: PINNED.sub("", (folder / name).read_text(), count=1) for name in FILES} == before
        registry.manifests = {image: manifest(f"{image}, built again") for image in IMAGES}


def test_nothing_is_written_unless_every_digest_was_found(folder: Path, registry: Registry) -> None:
    before = {name: (folder / name).read_bytes() for name in FILES}
    del registry.manifests[IMAGES[1]]
    assert pin(folder, registry.address) == (
        1,
        f"pin-images: the digest of apache/kafka-native:4.1.0 cannot be had from {registry.address}; got HTTP Error "
        "404: Not Found; nothing was changed; name a registry that has it: make pin-images "
        "REGISTRY=https://registry.example.org",
    )
    assert {name: (folder / name).read_bytes() for name in FILES} == before


def test_without_a_registry_and_without_docker_it_says_so(folder: Path) -> None:
    code, said = pin(folder)
    assert code == 1
    assert said.startswith("pin-images: no registry is named and no Docker engine answers; expected one of both; ")


def test_the_registry_of_the_docker_engine_is_used(folder: Path) -> None:
    shutil.copy(shutil.which("sh") or "", folder / "sh")
    (folder / "docker").write_text(f"#!{folder}/sh\necho https://127.0.0.1:1/v1/\n")
    (folder / "docker").chmod(0o755)
    code, said = pin(folder)
    assert code == 1
    assert "cannot be had from https://127.0.0.1:1; got <urlopen error" in said

"""Pin the base images: ``make pin-images`` writes the digests of their tags into Dockerfile and compose.yaml.

It asks the registry by HTTP (OCI distribution) and needs neither Docker nor a download. The registry is the argument,
else the one that the Docker engine here uses. Nothing is written unless every digest was found.
"""

import hashlib
import json
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Final

# File → image, and where the tag and the digest behind it are.
PINS: Final = {
    Path("Dockerfile"): ("library/python", r"(?m)^(ARG PYTHON_PINNED=)([\w.-]+)(?:@sha256:[0-9a-f]{64})?$"),
    Path("compose.yaml"): (
        "apache/kafka-native",
        r"(image: apache/kafka-native:\$\{KAFKA_VERSION:-)([\w.-]+)(?:@sha256:[0-9a-f]{64})?(?=\})",
    ),
}
# An index names the image of every processor; one of a single processor is taken where there is no index.
MANIFESTS: Final = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        *("oci.image.index.v1", "docker.distribution.manifest.list.v2"),
        *("oci.image.manifest.v1", "docker.distribution.manifest.v2"),
    )
)
SECONDS: Final = 30


def main(registry: str) -> None:
    """Pin every image, or say why that cannot be."""
    texts = {}
    for path, (image, pattern) in PINS.items():
        text = path.read_text("utf-8")
        found = re.search(pattern, text)
        if found is None:
            raise SystemExit(f"pin-images: {path} names no tag of {image} where it did; see PINS in {__file__}")
        try:
            digest = digest_of(registry, image, found[2])
        except (OSError, ValueError, KeyError) as error:
            raise SystemExit(
                f"pin-images: the digest of {image}:{found[2]} cannot be had from {registry}; got {error}; nothing was "
                "changed; name a registry that has it: make pin-images REGISTRY=https://registry.example.org"
            ) from error
        texts[path] = re.sub(pattern, rf"\g<1>\g<2>@{digest}", text)
        print(f"{path}: {image}:{found[2]}@{digest}")  # noqa: T201
    for path, text in texts.items():
        path.write_text(text, "utf-8")


def digest_of(registry: str, image: str, tag: str) -> str:
    """The digest of a tag: the SHA-256 of its manifest."""
    address = f"{registry.rstrip('/')}/v2/{image}/manifests/{tag}"
    try:
        manifest = fetched(address, {"Accept": MANIFESTS})
    except urllib.error.HTTPError as error:
        if error.code != 401:
            raise
        token = token_for(error.headers["WWW-Authenticate"] or "")
        manifest = fetched(address, {"Accept": MANIFESTS, "Authorization": f"Bearer {token}"})
    if json.loads(manifest)["schemaVersion"] != 2:
        raise ValueError("a manifest of another kind")
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def token_for(challenge: str) -> str:
    """The token that a registry gives to anybody, from where its refusal says."""
    asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = asked.pop("realm")
    return str(json.loads(fetched(f"{realm}?{urllib.parse.urlencode(asked)}", {}))["token"])


def fetched(address: str, headers: dict[str, str]) -> bytes:
    """The body of an answer by HTTP."""
    if not address.startswith(("https://", "http://")):
        raise ValueError("an address that is not of HTTP")
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 (checked above)
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
        return bytes(answer.read())


def of_docker() -> str:
    """The registry that the Docker engine takes images from when their names have no host."""
    command = ["docker", "info", "--format", "{{.IndexServerAddress}}"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
        found = run.stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        found = ""
    if not found.startswith("https://"):
        raise SystemExit(
            "pin-images: no registry is named and no Docker engine answers; expected one of both; name a registry: "
            "make pin-images REGISTRY=https://registry.example.org"
        )
    return found.removesuffix("/").removesuffix("/v1")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else of_docker())

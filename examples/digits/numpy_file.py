"""Reads .npy and .npz files with the standard library alone, as flat arrays with a shape."""

from __future__ import annotations

import array
import ast
import math
import pathlib
import struct
import sys
import zipfile
from typing import NamedTuple

TYPES = {"<f4": "f", "<f8": "d", "<i4": "i", "<i8": "q", "|i1": "b", "|u1": "B"}


class Tensor(NamedTuple):
    """Row-major values and their shape."""

    values: array.array
    shape: tuple[int, ...]


def parse(data: bytes, name: str) -> Tensor:
    """One .npy file's bytes; `name` appears in errors."""
    if data[:6] != b"\x93NUMPY":
        raise ValueError(f"{name}: not a .npy file")
    width = 2 if data[6] == 1 else 4
    (length,) = struct.unpack_from("<H" if width == 2 else "<I", data, 8)
    header = ast.literal_eval(data[8 + width : 8 + width + length].decode("latin-1"))
    if header["descr"] not in TYPES or header["fortran_order"]:
        raise ValueError(f"{name}: {header['descr']} in {'Fortran' if header['fortran_order'] else 'C'} order is not read")
    values = array.array(TYPES[header["descr"]])
    values.frombytes(data[8 + width + length :])
    if sys.byteorder == "big":
        values.byteswap()
    if len(values) != math.prod(header["shape"]):
        raise ValueError(f"{name}: holds {len(values)} values, shape says {header['shape']}")
    return Tensor(values, tuple(header["shape"]))


def load_npy(path: str | pathlib.Path) -> Tensor:
    return parse(pathlib.Path(path).read_bytes(), str(path))


def load_npz(path: str | pathlib.Path) -> dict[str, Tensor]:
    """All members by name, without the .npy ending."""
    with zipfile.ZipFile(path) as archive:
        return {name.removesuffix(".npy"): parse(archive.read(name), f"{path}:{name}") for name in archive.namelist()}

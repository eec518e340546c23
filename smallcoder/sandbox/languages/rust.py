"""Rust by rustc, the 2021 edition, the standard library alone. Behind rustup's shim the real compiler is asked for."""

import shutil
import subprocess
from pathlib import Path

from smallcoder.sandbox.languages import Language, Plan


def _locate(tool: str) -> str | None:
    found = shutil.which(tool)
    if tool != "rustc" or found is None:
        return found
    done = subprocess.run([found, "--print", "sysroot"], capture_output=True, text=True, timeout=60, check=False)
    real = Path(done.stdout.strip()) / "bin" / "rustc"
    return str(real) if done.returncode == 0 and real.is_file() else None


_COMPILE = ("rustc", "--edition=2021", "-Awarnings", "-Copt-level=1", "-Ccodegen-units=1", "-o", "program", "main.rs")
LANGUAGE = Language(
    "rust",
    (".rs",),
    {"rustc": "rustc", "cc": "gcc"},
    lambda code: Plan("main.rs", ("./program",), _COMPILE),
    memory_bytes=1 << 30,
    locate=_locate,
)

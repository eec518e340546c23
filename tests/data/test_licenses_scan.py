"""What scancode is asked, what is kept on disk, and that nothing of it is needed."""

import subprocess
import sys

import pytest

from smallcoder.data.licenses import license_of_files, scan

ODD = "This text is known to nobody but a scanner."


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "smallcoder" / "licences"


def test_each_text_is_scanned_once(monkeypatch, cache) -> None:
    asked = []
    monkeypatch.setattr(scan, "scanner", lambda: "scancode 1")
    monkeypatch.setattr(scan, "_detect", lambda text: asked.append(text) or ("Zlib" if "odd" in text.lower() else None))
    for _ in range(2):
        assert license_of_files(["ODD: " + ODD, "other"]) == "Zlib"
    assert asked == ["ODD: " + ODD, "other"]
    kept = sorted(cache.rglob("*"))
    assert len([path for path in kept if path.is_file()]) == 2
    for path in kept:
        if path.is_file():
            path.write_bytes(b"\xff damaged")
    assert license_of_files(["ODD: " + ODD]) == "Zlib"
    assert len(asked) == 3
    monkeypatch.setattr(scan, "scanner", lambda: "scancode 2")
    license_of_files(["ODD: " + ODD])
    assert len(asked) == 4
    cache.joinpath("scancode-2").chmod(0o500)
    assert license_of_files(["ODD, again"]) == "Zlib"


def test_phrases_settle_first_and_the_extra_is_not_needed(monkeypatch, cache) -> None:
    monkeypatch.setattr(scan, "scanner", lambda: "scancode 1")
    monkeypatch.setattr(scan, "_detect", lambda text: pytest.fail("asked though settled"))
    assert license_of_files(["Apache License\nVersion 2.0", "", " \n"]) == "Apache-2.0"
    monkeypatch.setattr(scan, "scanner", lambda: None)
    assert license_of_files([ODD]) is None
    assert not cache.exists()


@pytest.mark.skipif(scan.scanner() is None, reason="scancode is not installed (pip install 'smallcoder[licences]')")
def test_scancode_itself(monkeypatch, cache) -> None:
    zlib = (
        "This software is provided 'as-is', without any express or implied warranty. In no event will the authors be "
        "held liable for any damages arising from the use of this software.\n\nPermission is granted to anyone to use "
        "this software for any purpose, including commercial applications, and to alter it and redistribute it freely, "
        "subject to the following restrictions:\n\n1. The origin of this software must not be misrepresented; you must "
        "not claim that you wrote the original software.\n2. Altered source versions must be plainly marked as such, "
        "and must not be misrepresented as being the original software.\n3. This notice may not be removed or altered "
        "from any source distribution.\n"
    )
    gone = subprocess.Popen(["true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="ascii")
    monkeypatch.setattr(scan, "_child", gone)
    assert license_of_files([zlib]) == "Zlib"
    assert "licensedcode" not in sys.modules  # its gigabyte is not ours
    assert license_of_files(["All rights reserved. Nobody may use this.\0\ud800 ( ( AND"]) != "MIT"
    assert license_of_files(["a recipe for apple pie"]) is None

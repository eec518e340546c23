"""scancode in a process of its own, which `scan` starts and asks: a text a line, in JSON, and so the answer.

    python -m smallcoder.data.licenses.scancode SECONDS

It ends when it is asked nothing for so long, or its input ends, and with it go the 1.1 GB of its index (1.4 while it
loads). An index of whole licence texts alone holds 0.7 GB, but of 80 licence files it read 12 otherwise, and missed
the notices of Apache-2.0.
"""

import contextlib
import json
import select
import sys
import warnings
from pathlib import Path

from smallcoder.data.licenses.expressions import all_of

# Matches that say only that there is something about licences here.
EMPTY = {"LicenseRef-scancode-unknown-license-reference", "LicenseRef-scancode-unknown-spdx"}
UNKNOWN = {"LicenseRef-scancode-unknown", "LicenseRef-scancode-free-unknown"}


def main(idle: float) -> None:
    with contextlib.redirect_stdout(sys.stderr):  # whatever a library prints is no answer
        while select.select([sys.stdin], [], [], idle)[0] and (line := sys.stdin.readline()):
            print(json.dumps(detect(json.loads(line))), file=sys.__stdout__, flush=True)


def detect(text: str) -> str | None:
    """Every licence found in a text, joined by AND; None for nothing, and for what scancode is unsure of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libmagic, which is not used here
        import scancode_config  # pyright: ignore[reportMissingImports]
        from licensedcode.cache import (  # pyright: ignore[reportMissingImports]
            build_spdx_license_expression,
            get_licensing,
        )
        from licensedcode.detection import detect_licenses  # pyright: ignore[reportMissingImports]

    with contextlib.suppress(OSError):  # its import makes an empty folder
        Path(scancode_config.scancode_temp_dir).rmdir()
    found: set[str] = set()
    for detection in detect_licenses(query_string=text):
        if detection.license_expression:  # without one it is a clue, no licence
            found.add(str(build_spdx_license_expression(detection.license_expression, licensing=get_licensing())))
    found -= EMPTY
    return None if any(word in license for license in found for word in UNKNOWN) else all_of(found)


if __name__ == "__main__":
    main(float(sys.argv[1]))

"""Go, the standard library alone. A package named X_test, or one that imports "testing", runs as `go test` would."""

import re

from smallcoder.sandbox.languages import Language, Plan

_TEST = re.compile(r'^\s*package\s+\w+_test\b|"testing"', re.MULTILINE)


def _plan(code: str) -> Plan:
    if _TEST.search(code):
        return Plan("main_test.go", ("./program", "-test.v"), ("go", "test", "-c", "-o", "program", "main_test.go"))
    return Plan("main.go", ("./program",), ("go", "build", "-o", "program", "main.go"))


LANGUAGE = Language(
    "go",
    (".go",),
    {"go": "golang-go"},
    _plan,
    environment={
        "GO111MODULE": "off", "GOCACHE": "/tmp/.cache", "GOFLAGS": "-vet=off -p=2", "GOMAXPROCS": "2",
        "CGO_ENABLED": "0", "GOPATH": "/tmp/.go", "GOTOOLCHAIN": "local",
    },
    memory_bytes=1 << 30,
)  # fmt: skip

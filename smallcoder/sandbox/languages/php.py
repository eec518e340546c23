"""PHP, its command line. Warnings go to standard error, assertions throw."""

from smallcoder.sandbox.languages import Language, Plan

_RUN = (
    "php", "-d", "display_errors=stderr", "-d", "zend.assertions=1", "-d", "assert.exception=1",
    "-d", "memory_limit=512M", "main.php",
)  # fmt: skip
LANGUAGE = Language(
    "php",
    (".php",),
    {"php": "php-cli"},
    lambda code: Plan("main.php", _RUN),
    reads=("/etc/php", "/var/lib/php/modules"),
)

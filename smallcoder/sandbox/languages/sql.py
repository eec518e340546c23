"""SQL on SQLite. The statements run on the file `database` beside them, or on an empty database.

Every row that comes out is a line of JSON (bytes in hexadecimal). Python's own SQLite: nothing needs to be installed.
"""

from smallcoder.sandbox.languages import Language, Plan
from smallcoder.sandbox.languages.python import LANGUAGE as PYTHON

_SHELL = r"""
import json, sqlite3, sys
db = sqlite3.connect("database", isolation_level=None)
db.text_factory = lambda data: data.decode("utf-8", "replace")
text, statement = open("main.sql").read(), ""
try:
    for line in [*text.splitlines(True), ";"]:
        for part in line.replace(";", ";\0").split("\0"):
            statement += part
            if statement.strip(" ;\n\t") and sqlite3.complete_statement(statement):
                for row in db.execute(statement):
                    print(json.dumps([item.hex() if isinstance(item, bytes) else item for item in row]))
                statement = ""
            elif not statement.strip(" ;\n\t"):
                statement = ""
except sqlite3.Error as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""
LANGUAGE = Language(
    "sql",
    (".sql",),
    PYTHON.tools,
    lambda code: Plan("main.sql", ("python3", "-I", "-B", "-c", _SHELL)),
    environment=PYTHON.environment,
    reads=PYTHON.reads,
    locate=PYTHON.locate,
)

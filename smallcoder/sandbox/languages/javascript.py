"""JavaScript by Node."""

from smallcoder.sandbox.languages import Language, Plan

NODE = ("node", "--stack-size=900", "--max-old-space-size=384", "--no-warnings")
LANGUAGE = Language(
    "javascript",
    (".js", ".cjs", ".mjs"),
    {"node": "nodejs"},
    lambda code: Plan("main.js", (*NODE, "main.js")),
    environment={"NODE_PATH": "/usr/lib/node_modules:/usr/local/lib/node_modules:/usr/share/nodejs"},
    memory_bytes=1 << 30,
)

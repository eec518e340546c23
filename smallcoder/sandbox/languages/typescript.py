"""TypeScript by tsc, then Node. Types are checked: a program that does not type-check does not run."""

import os
import shutil

from smallcoder.sandbox.languages import Apart, Language, Plan, Server
from smallcoder.sandbox.languages.javascript import APART, NODE

_COMPILE = (
    "tsc", "--target", "es2022", "--module", "commonjs", "--lib", "es2022,dom", "--strict", "false", "--skipLibCheck",
    "--noEmitOnError", "--pretty", "false", "main.ts",
)  # fmt: skip


_SERVER = rb"""
const fs = require('fs'), path = require('path');
const ts = require(path.join(path.dirname(process.argv[2]), '..', 'lib', 'typescript.js'));
const options = {
  target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS, lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
  skipLibCheck: true, noEmitOnError: true, types: [],
};
const host = ts.createCompilerHost(options);
const kept = new Map();
const read = host.getSourceFile;
let name = '', text = '', last;
host.getSourceFile = (file, target) => {
  if (file === name) return ts.createSourceFile(file, text, target, true);
  if (!kept.has(file)) kept.set(file, read(file, target));
  return kept.get(file);
};
host.fileExists = (file) => file === name || ts.sys.fileExists(file);
host.getCurrentDirectory = () => '/tmp';
function take(count) {
  const data = Buffer.alloc(count);
  for (let at = 0; at < count;) {
    const got = fs.readSync(0, data, at, count - at, null);
    if (!got) process.exit(0);
    at += got;
  }
  return data;
}
function give(data) {
  for (let at = 0; at < data.length;) at += fs.writeSync(1, data, at);
}
function field(text) {
  const data = Buffer.from(text), size = Buffer.alloc(4);
  size.writeUInt32BE(data.length);
  return Buffer.concat([size, data]);
}
for (;;) {
  name = take(take(4).readUInt32BE()).toString();
  text = take(take(4).readUInt32BE()).toString();
  const made = [];
  let said = '';
  try {
    const program = ts.createProgram([name], options, host, last);
    const problems = ts.getPreEmitDiagnostics(program);
    said = ts.formatDiagnostics(problems, host);
    if (!problems.length) program.emit(undefined, (file, data) => made.push([path.basename(file), data]));
    last = program;
  } catch (error) {
    said += error;
  }
  const count = Buffer.alloc(4);
  count.writeUInt32BE(made.length);
  give(Buffer.concat([field(said), count, ...made.flatMap(([file, data]) => [field(file), field(data)])]));
}
"""


def _locate(tool: str) -> str | None:
    """The script behind `tsc`, so that its folder, the whole of TypeScript, comes along."""
    found = shutil.which(tool)
    return os.path.realpath(found) if found else None


def _server() -> Server | None:
    script = _locate("tsc")
    return Server((*NODE, "server.js", script), {"server.js": _SERVER}) if script else None


_WHERE = "(globalThis as any).apart"
LANGUAGE = Language(
    "typescript",
    (".ts",),
    {"tsc": "node-typescript", "node": "nodejs"},
    lambda code: Plan("main.ts", (*NODE, "main.js"), _COMPILE),
    server=_server(),
    memory_bytes=1 << 30,
    locate=_locate,
    apart=Apart(
        APART.command,
        APART.files,
        ("", f"\n;{_WHERE}.serve((name: string) => eval(name))\n"),
        (f"const remote = {_WHERE}.remote;\n", f"\n;{_WHERE}.finish()\n"),
    ),
)

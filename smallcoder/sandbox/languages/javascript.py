"""JavaScript by Node. Between an answer and its tests plain data crosses (`APART`), objects by their keys."""

from smallcoder.sandbox.languages import Apart, Language, Plan

NODE = ("node", "--stack-size=900", "--max-old-space-size=384", "--no-warnings")
_APART = rb"""'use strict';
const fs = require('fs'), exit = process.exit;
const MOST = 64 << 20, DEEP = 200;
const entries = (value) => Object.keys(value).map((key) => [key, value[key]]);
function pack(value, depth = 0) {
  const inner = (item) => pack(item, depth + 1);
  const pairs = (items) => items.map(([key, item]) => [inner(key), inner(item)]);
  if (depth > DEEP) throw new TypeError('nested too deeply');
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0) ? value
    : {number: Object.is(value, -0) ? '-0' : String(value)};
  if (value === undefined) return {undefined: 0};
  if (typeof value === 'bigint') return {bigint: String(value)};
  if (Array.isArray(value)) {
    const items = Array.from(value, inner), more = entries(value).filter(([key]) => !/^\d+$/.test(key));
    return more.length ? {array: [items, pairs(more)]} : items;
  }
  if (value instanceof Date) return {date: value.getTime()};
  if (value instanceof Map) return {map: pairs([...value])};
  if (value instanceof Set) return {set: [...value].map(inner)};
  if (typeof value === 'object' && !(value instanceof Promise)) return {object: pairs(entries(value))};
  throw new TypeError('not plain data: ' + typeof value);
}
const put = (object, pairs) => {
  const plain = {writable: true, enumerable: true, configurable: true};
  for (const [key, value] of pairs) Object.defineProperty(object, unpack(key), {...plain, value: unpack(value)});
  return object;
};
function unpack(said) {
  if (said === null || typeof said !== 'object') return said;
  if (Array.isArray(said)) return said.map(unpack);
  const [kind, ...others] = Object.keys(said), value = said[kind];
  if (others.length) throw new TypeError('malformed');
  switch (kind) {
    case 'number': return Number(String(value));
    case 'undefined': return undefined;
    case 'bigint': return BigInt(String(value));
    case 'array': return put(unpack(value[0]), value[1]);
    case 'date': return new Date(Number(value));
    case 'map': return new Map(value.map(([key, item]) => [unpack(key), unpack(item)]));
    case 'set': return new Set(value.map(unpack));
    case 'object': return put({}, value);
  }
  throw new TypeError('malformed');
}
function take(count) {
  const data = Buffer.alloc(count);
  for (let at = 0; at < count;) {
    const got = fs.readSync(3, data, at, count - at, null);
    if (!got) return undefined;
    at += got;
  }
  return data;
}
function hear() {
  const size = take(4)?.readUInt32LE();
  if (size === undefined || size > MOST) throw new TypeError('no answer');
  return JSON.parse(take(size));
}
function say(value) {
  const text = Buffer.from(JSON.stringify(value)), data = Buffer.alloc(4 + text.length);
  data.writeUInt32LE(text.length);
  text.copy(data, 4);
  for (let at = 0; at < data.length;) at += fs.writeSync(4, data, at);
}
function remote(name) {
  return (...values) => {
    const asked = [name, values.map((value) => pack(value))];
    let kind, said;
    try {
      say(asked);
      [kind, said] = hear();
      if (kind === 'value') return unpack(said);
    } catch (error) {
      kind = error.message;
    }
    if (kind === 'error') throw new Error(String(said));
    fs.writeSync(2, 'the program ended, or does not keep to the protocol');
    exit(1);
  };
}
function serve(find) {
  for (;;) {
    let asked, said;
    try {
      asked = hear();
    } catch (error) {
      exit(0);
    }
    try {
      said = ['value', pack(find(asked[0])(...asked[1].map(unpack)))];
    } catch (error) {
      said = ['error', String(error).slice(0, 300)];
    }
    say(said);
  }
}
process.on('uncaughtException', (error) => {
  fs.writeSync(2, String(error).slice(0, 300));
  exit(1);
});
globalThis.apart = {remote, serve, finish: () => fs.writeSync(1, process.env.MARK)};
"""
APART = Apart(
    (*NODE, "-r", "./apart.js", "main.js"),
    {"apart.js": _APART},
    ("", "\n;globalThis.apart.serve((name) => eval(name))\n"),
    ("const remote = globalThis.apart.remote;\n", "\n;globalThis.apart.finish()\n"),
)
LANGUAGE = Language(
    "javascript",
    (".js", ".cjs", ".mjs"),
    {"node": "nodejs"},
    lambda code: Plan("main.js", (*NODE, "main.js")),
    environment={"NODE_PATH": "/usr/lib/node_modules:/usr/local/lib/node_modules:/usr/share/nodejs"},
    memory_bytes=1 << 30,
    apart=APART,
)

"""Middles: Python's against its own parser, every kind in every language, the rules, hostile texts."""

import ast
import sysconfig
import textwrap
from pathlib import Path

import pytest

from smallcoder.data.syntax import GRAMMARS, LARGEST
from smallcoder.repos import spans as module
from smallcoder.repos.query import captures
from smallcoder.repos.spans import KINDS, NODES, Span, query, spans
from tests.repos.small import hostile

# One function with an if or a loop, for each language; `total` is followed by a call, which is an expression of each.
SAMPLES = {
    "python": "def f(xs):\n    total = g(xs, 1)\n    for x in xs:\n        total += x\n    return total\n",
    "java": "class A { int f(int[] xs) { int total = g(xs, 1); for (int x : xs) { total += x; } return total; } }\n",
    "javascript": "function f(xs) { let total = g(xs, 1); for (const x of xs) { total += x; } return total; }\n",
    "typescript": "function f(xs: A[]): A { let total = g(xs, 1); if (total > 0) { total += 1; } return total; }\n",
    "go": "package a\nfunc f(xs A) A {\n total := g(xs, 1)\n for x := range xs { total += x }\n total++\n return 1 }\n",
    "rust": "fn f(xs: &[i32]) -> i32 { let mut total = g(xs, 1); for x in xs { total += x; } total }\n",
    "c": "int f(int *xs) { int total = g(xs, 1); while (*xs) { total += *xs++; } return total; }\n",
    "cpp": "int f(std::vector<int> xs) { int total = g(xs, 1); for (auto x : xs) { total += x; } return total; }\n",
    "csharp": "class A { int F(A xs) { var total = G(xs, 1); foreach (var x in xs) { total += x; } return total; } }\n",
    "php": "<?php function f($xs) { $total = g($xs, 1); foreach ($xs as $x) { $total += $x; } return $total; }\n",
    "ruby": "def f(xs)\n  total = g(xs, 1)\n  xs.each do |x|\n    total += x\n  end\n  total\nend\n",
    "kotlin": "fun f(xs: List<Int>): Int { var total = g(xs, 1)\n for (x in xs) { total += x }\n return total }\n",
    "scala": "object A { def f(xs: Seq[Int]): Int = { var total = g(xs, 1); if (total > 0) { total += 1 }; total } }\n",
    "swift": "func f(xs: [Int]) -> Int { var total = g(xs, 1)\n for x in xs { total += x * 2 }\n return total }\n",
    "lua": "function f(xs) local total = g(xs, 1) for _, x in ipairs(xs) do total = total + x end return total end\n",
    "dart": "int f(List<int> xs) { var total = g(xs, 1) + 0; for (var x in xs) { total += x; } return total; }\n",
}


@pytest.mark.parametrize("lang", SAMPLES)
def test_every_language_has_every_kind(lang, monkeypatch):
    monkeypatch.setattr(module, "EACH", 1)
    text = (SAMPLES[lang] + "\n").encode()
    found = spans(text + text.replace(b"f(", b"h("), lang)
    assert {span.kind for span in found} == set(KINDS)
    said = {
        kind: {text[span.start : span.end].decode().strip() for span in found if span.kind == kind} for kind in KINDS
    }
    assert any("total" in words for words in said["body"])
    assert any("total" in words or "x" in words for words in said["block"])
    if lang != "dart":  # whose grammar has no node of its own for a call
        assert any(words.lower().startswith(("g(xs", "g($xs")) for words in said["expression"])
    assert any(words.startswith(("return", "total", "$total")) or "total" in words for words in said["statement"])


@pytest.mark.parametrize("lang", NODES)
def test_every_node_type_is_in_its_grammar(lang: str):
    from tree_sitter_language_pack import get_language

    grammar = GRAMMARS.get(lang, lang)
    language = get_language(grammar)  # pyright: ignore[reportArgumentType]
    for nodes in NODES[lang].values():
        for word in nodes.split():
            name, _, field = word.partition(".")
            for part in name.split("/"):
                assert language.id_for_node_kind(part, True) is not None, word
            assert not field or language.field_id_for_name(field) is not None, word
    assert captures(module.parser(lang).parse(b"").root_node, grammar, query(lang)) == {}


def test_real_python_against_its_own_parser():
    paths = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[::9]
    counts: dict[str, int] = dict.fromkeys(KINDS, 0)
    for path in paths:
        text = path.read_bytes()
        for kind, start, end in spans(text, "python"):
            said = text[start:end].decode()
            counts[kind] += 1
            if kind == "expression":
                ast.parse(f"({said}\n)", mode="eval")
            else:
                ast.parse("if 1:\n" + said if said[0].isspace() else said)
    assert min(counts.values()) > 50


def test_python_bodies_take_their_indentation_along(monkeypatch):
    monkeypatch.setattr(module, "EACH", 1)
    text = textwrap.dedent("""
        class A:
            def f(self):
                # what it does
                if self.x:
                    return 1
                return 2

            def g(self): return self.x + 1
        """).encode()
    found = spans(text, "python")
    said = {kind: [text[start:end].decode() for name, start, end in found if name == kind] for kind in KINDS}
    assert said["body"] == ["        if self.x:\n            return 1\n        return 2", "return self.x + 1"]
    assert said["block"] == ["            return 1"]
    assert said["expression"] == ["self.x + 1"]


def test_rules():
    words = "".join(f"x{at} = f({at}, 'é{'ü' * (at % 7)}')\n" for at in range(2000))
    data = words.encode()
    found = spans(data, "python")
    assert len(found) == module.MOST
    assert found == sorted(found, key=lambda span: span[1:])
    assert {span.kind for span in found} == {"statement", "expression"}
    thirds = [sum(3 * span.start // len(data) == third for span in found) for third in range(3)]
    assert max(thirds) - min(thirds) <= 2  # spread over the file
    for span in found:
        data[span.start : span.end].decode()
    large = f"x = [{'f(1), ' * 1000}]\n".encode()
    assert all(span.end - span.start <= module.LARGEST_MIDDLE for span in spans(large * 2, "python"))
    assert spans(b"x = f(1)\n", "python") == [Span("expression", 4, 8)]  # the statement is nearly all of the file
    for text in (b"", b"\n\n", b"# only words\n", b"x\n", b"x = 1\n"):
        assert spans(text, "python") == []
    assert spans(b"a" * (LARGEST + 1), "python") == []
    assert spans(b"x = f(1)\n", "markdown") == spans(b"x = f(1)\n", None) == []


def test_nothing_out_of_errors():
    good, bad = b"def f(x):\n    return g(x) + 1\n\n", b"def h(: ) = ((( f(y)\n"
    text = good + bad + b"\n" + good
    broken = captures(module.parser("python").parse(text).root_node, "python", "(ERROR) @error")["error"]
    found = spans(text, "python")
    assert found
    assert not any(node.start_byte <= start and end <= node.end_byte for node in broken for _, start, end in found)
    assert spans(b"}}}} f(x) ((((\n" * 20, "java") == []


def test_tsx_where_typescript_fails():
    text = (
        b"export const A = () => {\n  const n: number = f(1);\n  if (n) { f(n); }\n  return <div>{n + 1}</div>;\n};\n"
        * 4
    )
    assert {span.kind for span in spans(text, "typescript")} == set(KINDS)


@pytest.mark.parametrize("lang", SAMPLES)
def test_hostile_texts(lang):
    for text in hostile(SAMPLES[lang]):
        for kind, start, end in spans(text, lang):
            assert kind in KINDS
            assert 0 <= start < end <= len(text)


def test_the_same_for_every_call_and_other_texts_before():
    text = Path(module.__file__).read_bytes()
    first = spans(text, "python")
    spans(SAMPLES["go"].encode(), "go")
    assert spans(text, "python") == first

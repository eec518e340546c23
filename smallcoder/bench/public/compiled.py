"""Tests of compiled languages as values: what each call of an answer gives, and, in another program, what it should.

MultiPL-E's tests are a list of comparisons of a call with an expression. Behind an answer go the calls alone, which
write what they gave into the file `mark`; the expressions go into a program of their own, run once for a problem, which
writes what is expected in the same form. The two files are compared outside, so an answer's process holds no
expectation and can only claim values. What is not of that form, or returns a type that cannot be shown, is left to
`translated.program`.

Numbers are shown by value, floats exactly, containers by their members (those without an order sorted), Go's values as
its tests print them. So lists count as equal in C# even where its own Equals would compare references.

Formats: MultiPL-E (Cassano et al., arXiv 2208.08227); MBXP's Java (Athiwaratkun et al., arXiv 2210.14868).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

Case = tuple[str, str]  # a call, and the expression that it should equal
_TOKEN = re.compile(
    r'"(?:\\.|[^"\\])*"' r"|'(?:\\.|[^'\\])'|==|\.(?:equals|Equals|SequenceEqual)(?=\()|[()\[\]{},;]", re.DOTALL
)


@dataclass(frozen=True)
class Halves:
    """The `head` of an answer's program and the calls `behind` the answer; `expected` is the other program, whole."""

    head: str
    behind: str
    expected: str


def split(language: str, prompt: str, tests: str) -> Halves | None:
    """The tests in two halves; None where they do not have the form."""
    make = _SPLIT.get(language)
    return make(prompt, tests) if make else None


def _cut(text: str, at: Callable[[str], bool]) -> list[str]:
    """A text in pieces, cut at each token that is wanted and stands outside of strings and brackets."""
    pieces, start, depth = [], 0, 0
    for token in _TOKEN.finditer(text):
        word = token.group()
        if word in "([{":
            depth += 1
        elif word in ")]}":
            depth -= 1
        elif depth == 0 and at(word):
            pieces.append(text[start : token.start()])
            start = token.end()
    return [*pieces, text[start:]]


def _cases(body: str, word: str) -> list[Case]:
    """The comparisons of a body that is nothing but statements `word(call == expected)`; none for any other."""
    found: list[Case] = []
    for statement in _cut(body, lambda token: token == ";"):
        text = statement.strip()
        if not text:
            continue
        if not text.startswith(f"{word}(") or not text.endswith(")"):
            return []
        sides = _cut(text[len(word) + 1 : -1], lambda token: token[0] in ".=" or (token == "," and word[-1] == "!"))
        if len(sides) != 2:
            return []
        found.append((sides[0].strip(), sides[1].strip()))
    return found


def _shows(expressions: list[str], show: str = "shown_::show({});") -> str:
    return "".join(f"    {show.format(one)}\n" for one in expressions)


_CPP_HEAD = """#include <cstdio>
#include <string>
#include <vector>
#include <algorithm>
#include <optional>
#include <tuple>
#include <type_traits>
#include <map>
"""
_CPP = """
namespace shown_ {
std::string all;
template <class T> std::string text(const T& v) {
    if constexpr (std::is_same_v<T, bool>) return v ? "true" : "false";
    else if constexpr (std::is_same_v<T, std::nullopt_t>) return "null";
    else if constexpr (std::is_floating_point_v<T>) {
        if (v == (T)(long long)v && v < 9e15 && v > -9e15) return std::to_string((long long)v);
        char put[64];
        std::snprintf(put, sizeof put, "%La", (long double)v);
        return put;
    }
    else if constexpr (std::is_arithmetic_v<T>) return std::to_string(v);
    else if constexpr (std::is_convertible_v<T, std::string>) {
        std::string s = v;
        return std::to_string(s.size()) + ":" + s;
    }
    else if constexpr (requires { v.has_value(); *v; }) return v.has_value() ? text(*v) : "null";
    else if constexpr (requires { v.begin(); v.end(); }) {
        std::vector<std::string> items;
        for (const auto& item : v) items.push_back(text(item));
        if constexpr (requires { v.bucket_count(); }) std::sort(items.begin(), items.end());
        std::string s = "[";
        for (const auto& item : items) s += item + ",";
        return s + "]";
    }
    else return std::apply([](const auto&... items) { return "(" + ((text(items) + ",") + ... + ")"); }, v);
}
template <class T> void show(const T& v) { all += text(v) + "\\n"; }
void show(const char* v) { show(std::string(v)); }
void write() {
    FILE* mark = std::fopen("mark", "w");
    std::fwrite(all.data(), 1, all.size(), mark);
    std::fclose(mark);
}
}
"""


def _cpp(prompt: str, tests: str) -> Halves | None:
    form = re.fullmatch(r"\s*\}\s*int main\(\) \{\s*auto candidate = (\w+);(.*)\}\s*", tests, re.DOTALL)
    cases = _cases(form[2], "assert") if form else []
    if not form or not cases or re.search(r"\bunion\b", prompt):
        return None
    calls, wanted = ([case[side] for case in cases] for side in (0, 1))
    start = f"{_CPP}int main() {{\n"
    behind = f"{start}    auto candidate = {form[1]};\n{_shows(calls)}    shown_::write();\n}}\n"
    expected = f"#include <bits/stdc++.h>\n{_CPP_HEAD}{start}{_shows(wanted)}    shown_::write();\n}}\n"
    return Halves(_CPP_HEAD, behind, expected)


_RUST = """
mod shown_ {
    pub trait Shown { fn text(&self) -> String; }
    macro_rules! plain { ($($t:ty)*) => { $(impl Shown for $t { fn text(&self) -> String { self.to_string() } })* } }
    plain!(bool isize usize i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 char);
    macro_rules! float { ($($t:ty)*) => { $(impl Shown for $t {
        fn text(&self) -> String { format!("{:?}", self + 0.0) } })* } }
    float!(f32 f64);
    impl Shown for str { fn text(&self) -> String { format!("{}:{}", self.len(), self) } }
    impl Shown for String { fn text(&self) -> String { self.as_str().text() } }
    impl<T: Shown + ?Sized> Shown for &T { fn text(&self) -> String { (**self).text() } }
    impl<T: Shown> Shown for Vec<T> { fn text(&self) -> String {
        format!("[{}]", self.iter().map(|item| item.text() + ",").collect::<String>()) } }
    impl<T: Shown> Shown for Option<T> { fn text(&self) -> String {
        match self { Some(item) => format!("Some({})", item.text()), None => "None".to_string() } } }
    impl<K: Shown, V: Shown> Shown for std::collections::HashMap<K, V> { fn text(&self) -> String {
        let mut items: Vec<String> = self.iter().map(|(k, v)| format!("{}={},", k.text(), v.text())).collect();
        items.sort();
        format!("{{{}}}", items.concat()) } }
    macro_rules! tuple { ($($n:ident $i:tt),*) => { impl<$($n: Shown),*> Shown for ($($n,)*) {
        fn text(&self) -> String { let mut s = String::from("("); $(s += &self.$i.text(); s += ",";)* s + ")" } } } }
    tuple!(A 0);
    tuple!(A 0, B 1);
    tuple!(A 0, B 1, C 2);
    tuple!(A 0, B 1, C 2, D 3);
}
"""


def _rust(prompt: str, tests: str) -> Halves | None:
    form = re.fullmatch(r"\s*\}\s*fn main\(\) \{\s*let candidate = (\w+);(.*)\}\s*", tests, re.DOTALL)
    cases = _cases(form[2], "assert_eq!") if form else []
    kind = re.search(rf"fn {form[1]}\(.*\)\s*->\s*(.+?)\s*\{{\s*$", prompt.rstrip(), re.DOTALL) if form else None
    if not form or not cases or not kind:
        return None
    calls = [case[0] for case in cases]
    wanted = [f"{{ let v: {kind[1]} = {case[1]}; v }}" for case in cases]
    start = "fn main() {\n    let mut all = String::new();\n"
    end = '    std::fs::write("mark", all).unwrap();\n}\n'
    show = 'all += &shown_::Shown::text(&{}); all += "\\n";'.replace("{}", "{0}")
    behind = f"{_RUST}{start}    let candidate = {form[1]};\n{_shows(calls, show)}{end}"
    return Halves("", behind, f"use std::collections::HashMap;\n{_RUST}{start}{_shows(wanted, show)}{end}")


def _go(prompt: str, tests: str) -> Halves | None:
    form = re.search(
        r"(func Test\w+\(t \*testing\.T\) \{\s*candidate := \w+\n).*?tests := \[\]test\{(.*)\n\s*\}\s*for i, tc",
        tests,
        re.DOTALL,
    )
    cases: list[Case] = []
    for item in _cut(form[2], lambda token: token == ",") if form else []:
        text = item.strip()
        sides = _cut(text[1:-1], lambda token: token == ",") if text else []
        if text and (len(sides) != 2 or "actual:" not in sides[0] or "expected:" not in sides[1]):
            return None
        if text:
            cases.append((sides[0].partition("actual:")[2].strip(), sides[1].partition("expected:")[2].strip()))
    if not form or not cases:
        return None
    calls, wanted = ([case[side] for case in cases] for side in (0, 1))
    show = 'all += shown_(fmt.Sprintf("%v", {}))'
    helper = 'func shown_(text string) string { return fmt.Sprintf("%d:%s\\n", len(text), text) }\n'
    start, end = '    all := ""\n', '    os_.WriteFile("mark", []byte(all), 0600)\n}\n'
    behind = f"\n{helper}{form[1]}{start}{_shows(calls, show)}{end}"
    expected = (
        f'package main\nimport "fmt"\nimport os_ "os"\n{helper}func main() {{\n{start}{_shows(wanted, show)}{end}'
    )
    return Halves('import os_ "os"\n', behind, expected)


_JAVA = """
class Shown_ {
    static StringBuilder all = new StringBuilder();
    static String text(Object v) {
        if (v == null) return "null";
        if (v instanceof String || v instanceof Character) return v.toString().length() + ":" + v;
        if (v instanceof Double || v instanceof Float) {
            double d = ((Number) v).doubleValue();
            return d == 0 ? "0.0" : Double.toString(d);
        }
        if (v instanceof java.util.Optional) return "some(" + text(((java.util.Optional<?>) v).orElse(null)) + ")";
        java.util.List<String> items = new java.util.ArrayList<>();
        if (v instanceof java.util.Map) {
            for (java.util.Map.Entry<?, ?> e : ((java.util.Map<?, ?>) v).entrySet())
                items.add(text(e.getKey()) + "=" + text(e.getValue()));
            java.util.Collections.sort(items);
            return "{" + items + "}";
        }
        if (v instanceof Iterable) {
            for (Object item : (Iterable<?>) v) items.add(text(item));
            if (v instanceof java.util.Set) java.util.Collections.sort(items);
            return items.toString();
        }
        if (v.getClass().isArray()) {
            int count = java.lang.reflect.Array.getLength(v);
            for (int i = 0; i < count; i++) items.add(text(java.lang.reflect.Array.get(v, i)));
            return items.toString();
        }
        return v.toString();
    }
    static void show(Object v) { all.append(text(v)).append('\\n'); }
    static void write() throws java.io.IOException {
        StringBuilder plain = new StringBuilder();
        for (char c : all.toString().toCharArray()) plain.append(c < 128 ? "" + c : String.format("<%04x>", (int) c));
        java.nio.file.Files.writeString(java.nio.file.Path.of("mark"), plain);
    }
}
"""
_PAIR = """
class Pair<A, B> implements Iterable<Object> {
    private final A first;
    private final B second;
    public Pair(A first, B second) { this.first = first; this.second = second; }
    public static <A, B> Pair<A, B> with(A first, B second) { return new Pair<>(first, second); }
    public A getValue0() { return first; }
    public B getValue1() { return second; }
    public <C> Pair<C, B> setAt0(C value) { return with(value, second); }
    public <C> Pair<A, C> setAt1(C value) { return with(first, value); }
    public java.util.List<Object> toList() { return java.util.Arrays.asList(first, second); }
    public java.util.Iterator<Object> iterator() { return toList().iterator(); }
    public boolean equals(Object o) { return o instanceof Pair && toList().equals(((Pair<?, ?>) o).toList()); }
    public int hashCode() { return toList().hashCode(); }
    public String toString() { return toList().toString(); }
}
"""
_MAIN = "    public static void main(String[] args) throws Exception {\n"


def with_pairs(text: str) -> str:
    """A Java program without the package javatuples, which is not there: of its classes the benchmarks use Pair."""
    text, count = re.subn(r"^import org\.javatuples\.\*;", "", text, flags=re.MULTILINE)
    used = re.search(r"\bPair\b", text) and not re.search(r"\bclass\s+Pair\b", text)
    return text + _PAIR if count and used else text


def _java(prompt: str, tests: str) -> Halves | None:
    imports = "".join(f"{line}\n" for line in re.findall(r"^import [\w.]+(?:\.\*)?;", prompt, re.MULTILINE))
    if form := re.fullmatch(r"\s*\}\s*public static void main\(String\[\] args\) \{(.*)\}\s*\}\s*", tests, re.DOTALL):
        cases = _cases(form[1], "assert")
        calls, wanted = (_shows([case[side] for case in cases], "Shown_.show({});") for side in (0, 1))
        name, end = "Problem", "        Shown_.write();\n    }\n}\n"
        behind = f"{_MAIN}{calls}{end}{_JAVA}"
    elif form := re.search(r"main\(String\[\] args\) throws Exception \{\n(.*)\}\s*\}\s*$", tests, re.DOTALL):
        line = r"^ +[\w<>\[\], ]+? v(\d+) = .*;\n"
        wanted = "".join(f"{m[0]}Shown_.show(v{m[1]});\n" for m in re.finditer(line, form[1], re.MULTILINE))
        calls = re.sub(line, "", form[1], flags=re.MULTILINE)
        ask = r" *if \(!\(compare\(x(\d+), v\1\)\)\) \{\s*throw new java\.lang\.Exception\(.*\);\s*\}"
        calls, count = re.subn(ask, r"        Shown_.show(x\1);", calls)
        if re.search(r"\bv\d+\b", calls) or count != wanted.count("Shown_.show"):
            return None
        cases = [("", "")] * count
        name, end = "Main", "        Shown_.write();\n    }\n}\n"
        behind = f"\nclass Main {{\n{_MAIN}{calls}{end}{_JAVA}"
    else:
        return None
    expected = with_pairs(f"{imports}class {name} {{\n{_MAIN}{wanted}{end}{_JAVA}")
    return Halves("", behind, expected) if cases else None


_CSHARP = """
static class Shown_ {
    static System.Text.StringBuilder all = new System.Text.StringBuilder();
    static string Text(object v) {
        if (v == null) return "null";
        if (v is bool) return (bool) v ? "true" : "false";
        if (v is string || v is char) return v.ToString().Length + ":" + v;
        if (v is float || v is double) {
            double d = System.Convert.ToDouble(v);
            return d == 0 ? "0" : d.ToString("R", System.Globalization.CultureInfo.InvariantCulture);
        }
        var items = new System.Collections.Generic.List<string>();
        var pairs = v as System.Collections.IDictionary;
        var tuple = v as System.Runtime.CompilerServices.ITuple;
        if (pairs != null) {
            foreach (System.Collections.DictionaryEntry e in pairs) items.Add(Text(e.Key) + "=" + Text(e.Value));
            items.Sort(System.StringComparer.Ordinal);
        }
        else if (tuple != null) for (int i = 0; i < tuple.Length; i++) items.Add(Text(tuple[i]));
        else if (v is System.Collections.IEnumerable)
            foreach (object item in (System.Collections.IEnumerable) v) items.Add(Text(item));
        else return System.Convert.ToString(v, System.Globalization.CultureInfo.InvariantCulture);
        return "[" + string.Join(",", items) + "]";
    }
    public static void Show(object v) { all.Append(Text(v)).Append('\\n'); }
    public static void Write() { System.IO.File.WriteAllText("mark", all.ToString()); }
}
"""


def _csharp(prompt: str, tests: str) -> Halves | None:
    form = re.fullmatch(r"\s*\}\s*public static void Main\(string\[\] args\) \{(.*)\}\s*\}\s*", tests, re.DOTALL)
    cases = _cases(form[1], "Debug.Assert") if form else []
    if not cases:
        return None
    calls, wanted = (_shows([case[side] for case in cases], "Shown_.Show({});") for side in (0, 1))
    start, end = "    public static void Main(string[] args) {\n", f"        Shown_.Write();\n    }}\n}}\n{_CSHARP}"
    uses = "".join(f"{line}\n" for line in re.findall(r"^using [\w.]+;", prompt, re.MULTILINE))
    return Halves("", f"{start}{calls}{end}", f"{uses}class Problem {{\n{start}{wanted}{end}")


_SPLIT: dict[str, Callable[[str, str], Halves | None]] = {
    "cpp": _cpp, "csharp": _csharp, "go": _go, "java": _java, "rust": _rust,
}  # fmt: skip

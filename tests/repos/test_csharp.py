"""C#: each rule on a small repository, hostile texts."""

from tests.repos.small import answers, edges, survives

LANGS = {"cs": "csharp"}
SAMPLE = """// using No.Such;
extern alias Z;
global using G.H;
using System;
using N;
using static N.T;
using A = N.Box<N.Item>;
using Many = N.Sub;
#if DEBUG
using N.Debug;
#endif
namespace Own.Place
{
    using Inner;
    /// <summary>Said</summary>
    public class K : Base { string s = "Quoted"; string t = $"{Shown.x}"; Many.Deep d; Trace u; char c = '"'; }
    /* T Box */
    namespace Below { struct S {} }
}
"""


def test_every_form_of_a_using() -> None:
    texts = {"K.cs": SAMPLE} | {
        f"{name}.cs": f"namespace N {{ public class {name} {{ }} }}"
        for name in ("Base", "T", "Box", "Item", "Said", "Quoted", "Shown")
    }
    texts |= {
        "Deep.cs": "namespace N.Sub; public class Deep { }",
        "Other.cs": "namespace N.Sub; public class Other { }",
        "Trace.cs": "namespace N.Debug; public class Trace { }",
        "H.cs": "namespace G.H; public class Base { }",
    }
    found = answers(texts, "K.cs", **LANGS)
    assert found["N"] == ["Base.cs", "Shown.cs"]
    assert found["N.T"] == ["T.cs"]
    assert (found["N.Box"], found["N.Item"]) == (["Box.cs"], ["Item.cs"])
    assert (found["N.Sub"], found["N.Debug"]) == (["Deep.cs"], ["Trace.cs"])
    assert (found["System"], found["Inner"]) == ([], [])
    assert found["G.H"] == ["H.cs"]


def test_whatever_a_file_declares() -> None:
    declared = {
        "Kind": "public sealed class Kind<T> { }",
        "Point": "public readonly struct Point { }",
        "IAble": "public interface IAble { }",
        "Level": "enum Level { Low }",
        "Pair": "public record Pair(int X);",
        "Spot": "public record struct Spot(int X);",
        "Call": "public delegate void Call(int x);",
        "MarkAttribute": "class MarkAttribute : Attribute { }",
        "Strings": "static class Strings { public static int Twice<T>(this T text, int n) => 1; }",
    }
    texts = {f"{name}.cs": f"namespace P.Q;\n\n{text}\n" for name, text in declared.items()}
    uses = "[Mark] class Main { Kind<int> k; Point p; IAble i; Level l; Pair a; Spot s; Call c; int x = l.Twice(1); }"
    texts["Main.cs"] = f"using P.Q;\n{uses}\n"
    assert edges(texts, **LANGS) == {"Main.cs": sorted(f"{name}.cs" for name in declared)}


def test_namespaces_in_one_file_and_in_one_another() -> None:
    texts = {
        "Many.cs": "namespace One { class A { } }\nnamespace Two { class B { } namespace Three { class C { } } }\n"
        "class Free { }",
        "X.cs": "using Two.Three; class X { C c; }",
        "Y.cs": "using One; using Two; class Y { Free f; }",
        "Z.cs": "namespace Two { using Three; class Z { C c; } }",
        "W.cs": "using Three; namespace Two { class W { C c; } }",
    }
    assert edges(texts, **LANGS) == {"X.cs": ["Many.cs"], "Z.cs": ["Many.cs"]}


def test_a_type_of_the_own_namespace_is_meant_first() -> None:
    texts = {
        "Lib/Options.cs": "namespace Lib; public class Options { }",
        "App/Options.cs": "namespace App; public class Options { }",
        "App/Deep/Use.cs": "using Lib; namespace App.Deep; class Use { Options o; }",
        "Else/Use.cs": "using Lib; namespace Else; class Use { Options o; }",
        "App/Deep/Up.cs": "using App; namespace App.Deep; class Up { Options o; }",
    }
    assert edges(texts, **LANGS) == {
        "Else/Use.cs": ["Lib/Options.cs"],
        "App/Deep/Up.cs": ["App/Options.cs"],
    }


def test_global_usings_hold_in_their_project() -> None:
    texts = {
        "app/app.csproj": '<Project><ItemGroup><Using Include="Lib.More" /></ItemGroup></Project>',
        "app/Usings.cs": "global using Lib;\nglobal using static Lib.Tools;\n"
        "global using Far = Lib.Off;\nglobal using Near = Lib.On;",
        "app/sub/A.cs": "class A { Thing t; Extra e; Near n; }",
        "other/other.csproj": "<Project />",
        "other/B.cs": "class B { Thing t; }",
        "lib/Thing.cs": "namespace Lib; public class Thing { }",
        "lib/Tools.cs": "namespace Lib; public static class Tools { }",
        "lib/Far.cs": "namespace Lib; class Off { }",
        "lib/Near.cs": "namespace Lib; class On { }",
        "lib/Extra.cs": "namespace Lib.More; public class Extra { }",
    }
    found = edges(texts, **LANGS)
    assert found["app/sub/A.cs"] == ["lib/Extra.cs", "lib/Near.cs", "lib/Thing.cs"]
    assert "other/B.cs" not in found


def test_what_is_missing() -> None:
    texts = {
        "A.cs": "namespace N; class A { }",
        "B.cs": "using static N.Gone; using X = N.Lost; using N.Far; class B { }",
    }
    assert answers(texts, "B.cs", **LANGS) == {"": [], "N.Gone": None, "N.Lost": None, "N.Far": None}


def test_hostile_texts() -> None:
    survives(SAMPLE, "a/K.cs", "csharp")

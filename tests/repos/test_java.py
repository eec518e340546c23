"""Java: each rule on a small repository, hostile texts, and modules of the JDK against what javac resolves."""

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from smallcoder.repos.files import File, Files
from smallcoder.repos.graph import graph
from tests.repos.small import answers, edges, graphed, survives

LANGS = {"java": "java", "kt": "kotlin", "scala": "scala"}
SAMPLE = """/* a licence; import no.such.Thing; */
package a . b; // the package

import c.d.E;
import static c.d.E.f;
import static c.d.E.*;
import /* odd */ c.d.E.Inner;
import c.d.*;

@Deprecated
public final class A<T extends E> extends Object { String s = "import x.y.Z; \\"F"; char c = '"'; /* class F */ }
interface B {} enum C { X } record D(int x) {} @interface An {}
"""


def test_every_form_of_an_import() -> None:
    texts = {
        "src/a/b/A.java": SAMPLE,
        "anywhere/E.java": "package c.d; public class E { static int f; static class Inner {} }",
        "src/c/d/F.java": "package c.d; class F {}",
    }
    assert edges(texts, **LANGS) == {"src/a/b/A.java": ["anywhere/E.java"]}
    assert graphed(texts, **LANGS).counts == {"found": 4, "outside": 1, "dynamic": 0}


def test_all_types_of_a_file_are_known_whatever_its_name_and_folder() -> None:
    texts = {
        "x/Many.java": "package p; class One {} interface Two {} enum Three {}\n"
        "record Four(int x) {} @interface Five {}",
        "A.java": "package q; import p.One; class A {}",
        "B.java": "package q; import p.Two; import p.Gone; import java.util.List; import p.q.R; class B {}",
        "C.java": "import p.Three;",
        "D.java": "import p.Four;",
        "E.java": "import p.Five;",
    }
    assert edges(texts, **LANGS) == {f"{name}.java": ["x/Many.java"] for name in "ABCDE"}
    assert answers(texts, "B.java", **LANGS) == {
        "p.Two": ["x/Many.java"],
        "p.Gone": None,
        "java.util.List": [],
        "p.q.R": [],
    }


def test_a_wildcard_means_the_files_whose_types_are_mentioned() -> None:
    texts = {
        "p/Used.java": "package p; public class Used {}",
        "p/Said.java": "package p; public class Said {}",
        "p/Quoted.java": "package p; public class Quoted {}",
        "p/Member.java": "package p; public class Member {}",
        "p/Own.java": "package p; public class Own {}",
        "p/Near.java": "package p; public class Near {}",
        "p/Other.java": "package p; public class Other {}",
        "p/Inner.java": "package p; public class Inner {}",
        "o/Other.java": "package o; public class Other {}",
        "q/Near.java": "package q; class Near {}",
        "q/A.java": "package q; import p.*; import o.Other;\n"
        '/** Said */ class Own { Used u; Own o; Near n; Other x; String s = "Quoted"; Object m = x.Member; // Said\n'
        "  static class Inner {} Inner i; }",
        "q/B.java": "package q; import p.Own.*; class B {}",
    }
    assert edges(texts, **LANGS) == {"q/A.java": ["o/Other.java", "p/Used.java"], "q/B.java": ["p/Own.java"]}


def test_of_several_files_of_one_name_the_nearest() -> None:
    texts = {
        "one/src/main/java/p/T.java": "package p; public class T {}",
        "two/src/main/java/p/T.java": "package p; public class T {}",
        "two/src/main/java/q/A.java": "package q; import p.T; class A {}",
        "one/src/test/java/q/B.java": "package q; import p.T; class B {}",
        "three/four/java/q/C.java": "package q; import p.*; class C { T t; }",
        "three/T.java": "package z; class T {}",
    }
    assert edges(texts, **LANGS) == {
        "two/src/main/java/q/A.java": ["two/src/main/java/p/T.java"],
        "one/src/test/java/q/B.java": ["one/src/main/java/p/T.java"],
        "three/four/java/q/C.java": ["one/src/main/java/p/T.java"],
    }


def test_packages_of_other_languages() -> None:
    texts = {
        "k/Tools.kt": "package k\nfun help() {}\nclass Kind",
        "k/named.kt": '@file:JvmName("Facade")\npackage k\nfun more() {}',
        "s/S.scala": "package s\nobject S",
        "A.java": "import k.Kind; import static k.ToolsKt.help; import s.S; class A {}",
        "B.java": "import k.Facade; class B {}",
    }
    assert edges(texts, **LANGS) == {"A.java": ["k/Tools.kt", "s/S.scala"], "B.java": ["k/named.kt"]}


def test_hostile_texts() -> None:
    survives(SAMPLE, "a/A.java", "java")
    graphed(
        {"A.java": "import " + "a." * 20_000 + "*; class " + "A" * 1000 + "{}", "p/B.java": "package p; class B {}"},
        **LANGS,
    )
    graphed({"A.java": "import p.*; " + "/* " * 2_000 + '"' * 999, "p/B.java": "package p; class B {}"}, **LANGS)


REFERENCE = """
import com.sun.source.tree.*; import com.sun.source.util.*; import javax.lang.model.element.*; import javax.tools.*;
import java.nio.file.*; import java.util.*; import java.util.stream.*;

public class Reference {
    static Element top(Element e) {
        while (e != null && !(e.getEnclosingElement() instanceof PackageElement)) e = e.getEnclosingElement();
        return e;
    }
    public static void main(String[] args) throws Exception {
        Path root = Path.of(args[0]).toAbsolutePath();
        JavaCompiler javac = ToolProvider.getSystemJavaCompiler();
        StandardJavaFileManager files = javac.getStandardFileManager(null, null, null);
        List<Path> sources;
        try (Stream<Path> all = Files.walk(root)) {
            sources = all.filter(p -> p.toString().endsWith(".java")).collect(Collectors.toList());
        }
        JavacTask task = (JavacTask) javac.getTask(null, files, d -> {}, List.of("-proc:none", "--patch-module",
            args[1] + "=" + args[0]), null, files.getJavaFileObjectsFromPaths(sources));
        List<CompilationUnitTree> units = new ArrayList<>();
        task.parse().forEach(units::add);
        task.analyze();
        Trees trees = Trees.instance(task);
        Map<String, String> homes = new HashMap<>();
        for (CompilationUnitTree unit : units)
            for (Tree type : unit.getTypeDecls())
                if (trees.getElement(trees.getPath(unit, type)) instanceof TypeElement e)
                    homes.put(e.toString(), root.relativize(Path.of(unit.getSourceFile().toUri())).toString());
        for (CompilationUnitTree unit : units) {
            String here = root.relativize(Path.of(unit.getSourceFile().toUri())).toString();
            Set<String> packages = new HashSet<>(), found = new HashSet<>();
            for (ImportTree line : unit.getImports()) {
                MemberSelectTree name = (MemberSelectTree) line.getQualifiedIdentifier();
                boolean outer = line.isStatic() || name.getIdentifier().contentEquals("*");
                Element e = trees.getElement(TreePath.getPath(unit, outer ? name.getExpression() : name));
                if (e instanceof PackageElement) packages.add(e.toString());
                else if (top(e) != null) found.add(homes.get(top(e).toString()));
            }
            new TreePathScanner<Void, Void>() {
                public Void visitImport(ImportTree tree, Void v) { return null; }
                public Void visitIdentifier(IdentifierTree tree, Void v) {
                    Element e = trees.getElement(getCurrentPath());
                    if (e instanceof TypeElement && e == top(e)
                        && packages.contains(e.getEnclosingElement().toString()))
                        found.add(homes.get(e.toString()));
                    return super.visitIdentifier(tree, v);
                }
            }.scan(unit, null);
            for (String one : found) if (one != null && !one.equals(here)) System.out.println(here + "\\t" + one);
        }
    }
}
"""


@pytest.mark.slow
@pytest.mark.parametrize("module", ["jdk.compiler", "java.naming", "java.net.http"])
def test_against_javac(module: str, tmp_path: Path) -> None:
    """Files that javac finds through the imports of each file, wildcards by the types that are used."""
    java = shutil.which("java")
    homes = sorted(Path("/usr/lib/jvm").glob("*/lib/src.zip")) if java else []
    homes = [home for home in homes if home.exists() and (home.parents[1] / "bin/java").exists()]
    if not homes:
        pytest.skip("no JDK with its sources")
    with zipfile.ZipFile(homes[-1]) as sources:
        names = [name for name in sources.namelist() if name.startswith(module + "/") and name.endswith(".java")]
        sources.extractall(tmp_path / "jdk", names)
    (tmp_path / "Reference.java").write_text(REFERENCE)
    root = tmp_path / "jdk" / module
    said = subprocess.run(
        [homes[-1].parents[1] / "bin/java", str(tmp_path / "Reference.java"), str(root), module],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    wanted = {tuple(line.split("\t")) for line in said.stdout.splitlines()}
    paths = list(root.rglob("*.java"))
    found = graph(Files((str(path.relative_to(root)), File("java", path.read_bytes())) for path in paths))
    ours = {(source, target) for source, targets in found.imports.items() for target in targets}
    assert len(wanted) > 300
    assert len(ours & wanted) / len(ours) >= 0.98
    assert len(ours & wanted) / len(wanted) >= 0.95

"""Swift: each rule on a small repository, hostile texts."""

import pytest

from tests.repos.small import answers, edges, survives

LANGS = {"swift": "swift"}
PACKAGE = """// swift-tools-version:5.5
import PackageDescription
let package = Package(name: "X", targets: [
    .target(name: "Core", dependencies: [.target(name: "Base"), .product(name: "L", package: "l")], path: "Code/Core"),
    .target(name: "Base"),
    .target(name: "my-kit"),
    .executableTarget(name: "run", dependencies: ["Core"]),
    .testTarget(name: "CoreTests", dependencies: ["Core"]),
    .binaryTarget(name: "Blob", path: "Blob.xcframework"),
])
"""


def test_modules_lead_to_the_files_that_declare_what_is_mentioned():
    texts = {
        "Package.swift": PACKAGE,
        "Code/Core/Engine.swift": "import Base\nimport Foundation\npublic struct Engine: Runs {}\n",
        "Code/Core/Wheel.swift": "@frozen public final class Wheel<T> {}\nclass Hidden {}\nprivate struct Own {}\n",
        "Code/Core/Unused.swift": "public enum Unused {}\nextension Wheel {}\n",
        "Sources/Base/Runs.swift": "public protocol Runs {}\n",
        "Sources/my-kit/Kit.swift": "open class Kit {}\n",
        "Sources/run/main.swift": "import Core\nimport my_kit\nlet e = Engine() // Unused\n"
        'print("Unused \\(Wheel<Kit>())", Hidden(), Own())\n'
        "var w: Wheel<Kit>\n",
        "Tests/CoreTests/T.swift": "@testable import Core\nclass T { let h = Hidden(); let o = Own() }\n",
    }
    assert edges(texts, **LANGS) == {
        "Code/Core/Engine.swift": ["Sources/Base/Runs.swift"],
        "Sources/run/main.swift": ["Code/Core/Engine.swift", "Code/Core/Wheel.swift", "Sources/my-kit/Kit.swift"],
        "Tests/CoreTests/T.swift": ["Code/Core/Wheel.swift"],
    }


def test_own_names_same_module_and_submodules():
    texts = {
        "Package.swift": PACKAGE,
        "Sources/Base/A.swift": "import Base\npublic struct A { let b: B }\n",
        "Sources/Base/B.swift": "public struct B {}\n",
        "Sources/run/x.swift": "import Base.Part\nstruct A {}\nlet x = A(), y: B\n",
    }
    assert edges(texts, **LANGS) == {"Sources/run/x.swift": ["Sources/Base/B.swift"]}


def test_symbols():
    texts = {
        "Package.swift": PACKAGE,
        "Sources/Base/A.swift": "public func start() {}\npublic struct S {}\n",
        "Sources/run/x.swift": "import func Base.start\nimport struct Base.Gone\nimport class UIKit.UIView\n",
    }
    assert answers(texts, "Sources/run/x.swift", **LANGS) == {"Base": None, "UIKit": []}
    assert edges(texts, **LANGS) == {"Sources/run/x.swift": ["Sources/Base/A.swift"]}


def test_exported_modules():
    texts = {
        "Package.swift": PACKAGE,
        "Sources/Base/S.swift": "public struct S {}\n@_exported import Core\n",
        "Code/Core/Engine.swift": "@_exported import Base\n",
        "Sources/run/x.swift": "import Core\nlet s: S\n",
    }
    assert edges(texts, **LANGS) == {"Sources/run/x.swift": ["Sources/Base/S.swift"]}


def test_of_two_modules_of_one_name_the_nearest():
    package = 'let p = Package(targets: [.target(name: "M"), .target(name: "N", path: ".")])\n'
    texts = {f"{at}/Package.swift": package for at in "ab"}
    texts |= {f"{at}/Sources/M/m.swift": "public struct S {}\n" for at in "ab"}
    texts["b/n.swift"] = "import M\nlet s: S\n"
    assert edges(texts, **LANGS) == {"b/n.swift": ["b/Sources/M/m.swift"]}


SAMPLE = """import Foundation
@testable import struct MyLib.Foo
@_exported import Base
public struct Foo<T>: Bar where T: E { var x: Int = 0x1f }
let package = Package(name: "X", targets: [.target(name: "A", path: "Src/A"), .testTarget(name: "../..")])
func f(x: Foo...) async throws -> Bar { guard let y = x else { return Baz { $0 + "a\\n\\(z)" } } }
/* import X */ #if os(Linux)
import Glibc
#endif
"""


def test_hostile_texts():
    survives(SAMPLE, "Sources/A/x.swift", "swift")
    survives(SAMPLE, "Package.swift", "swift")


@pytest.mark.parametrize("piece", ["/* ", "@a\n", "@a(", '"', "public ", "//", "*", "public\n"])
def test_hostile_text_takes_linear_time(piece):
    """With a quadratic scan this takes minutes instead of seconds."""
    text = "import Base\n" + piece * (300_000 // len(piece))
    texts = {"Package.swift": PACKAGE, "Sources/Base/a.swift": text, "Sources/run/b.swift": text}
    assert edges(texts, **LANGS) == {}

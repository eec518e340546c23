"""The import graph of one repository: which of its files imports which other.

Every file of a language in `languages/` is parsed by tree-sitter; its imports are looked for in the repository by that
language's rules. What a program imports by computed names is counted, not found; nothing is run or read from disk.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from smallcoder.data.syntax import LARGEST, parser
from smallcoder.repos.files import Files
from smallcoder.repos.imports import Parsed
from smallcoder.repos.languages import language


@dataclass(frozen=True)
class Graph:
    """`imports`: every file -> the files it imports, sorted, never itself.

    `counts` of imports: "found", "outside", "missing" (should be here and is not), "dynamic"; of files: "large", those
    not parsed for their size.
    """

    imports: Mapping[str, list[str]]
    counts: Counter[str] = field(default_factory=Counter)


def graph(files: Files) -> Graph:
    """The import graph of a repository. Files of other languages are in it, without imports of their own."""
    counts: Counter[str] = Counter()
    parsed: dict[str, Parsed] = {}
    for path, file in files.items():
        if (speaker := language(file.lang)) is not None:
            if len(file.text) > LARGEST:
                counts["large"] += 1
            elif (tree := parser(speaker.grammar(path, file.lang or ""))) is not None:
                parsed[path] = speaker.parse(tree.parse(file.text).root_node, file.text)
    found: dict[str, set[str]] = {path: set() for path in files}
    resolvers = {}
    for path, said in parsed.items():
        speaker = language(files[path].lang)
        assert speaker is not None
        name = speaker.LANGS
        if name not in resolvers:
            resolvers[name] = speaker.resolver(files, parsed)
        counts["dynamic"] += said.dynamic
        for wanted in said.imports:
            targets = resolvers[name](path, wanted)
            counts["missing" if targets is None else "found" if targets else "outside"] += 1
            found[path].update(targets or ())
    return Graph({path: sorted(targets - {path}) for path, targets in found.items()}, counts)

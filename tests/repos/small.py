"""Small repositories out of dictionaries, and the hostile texts that every language must bear."""

from collections.abc import Iterator, Mapping

from smallcoder.repos.files import File, Files
from smallcoder.repos.graph import Graph, graph
from smallcoder.repos.graph import parse as parse_file
from smallcoder.repos.imports import Import
from smallcoder.repos.languages import language

NEST = {"(": ")", "{": "}", "[": "]"}


def small(texts: Mapping[str, str], **langs: str) -> Files:
    """Files by path; the language by the path's ending (`c="c"`), None for other endings."""
    return Files((path, File(langs.get(path.rpartition(".")[2]), text.encode())) for path, text in texts.items())


def edges(texts: Mapping[str, str], **langs: str) -> dict[str, list[str]]:
    """The files that import any, with what they import."""
    return {path: found for path, found in graphed(texts, **langs).imports.items() if found}


def graphed(texts: Mapping[str, str], **langs: str) -> Graph:
    return graph(small(texts, **langs))


def answers(texts: Mapping[str, str], path: str, **langs: str) -> dict[str, list[str] | None]:
    """For each import of one file, as it is written, what it leads to."""
    files = small(texts, **langs)
    parsed = {}
    for name, file in files.items():
        speaker = language(file.lang)
        if speaker is not None:
            parsed[name] = parse_file(speaker, name, file.lang or "", file.text)
    speaker = language(files[path].lang)
    assert speaker is not None
    resolve = speaker.resolver(files, parsed)
    found: dict[str, list[str] | None] = {}
    for wanted in parsed[path].imports:
        assert isinstance(wanted, Import)
        answer = resolve(path, wanted)
        found[wanted.name] = None if answer is None else sorted(answer)
    return found


def hostile(sample: str) -> Iterator[bytes]:
    """Broken relatives of a good text: cut at every 50th byte, zeroed, doubled, nested, endless, empty, no UTF-8."""
    data = sample.encode()
    for end in range(0, len(data), 50):
        yield data[:end]
        yield data[end:]
        yield data[:end] + b"\0" + data[end:]
        yield data[:end] + b"\xff\xfe\"'`" + data[end:]
    yield b""
    yield b"\0" * 1000
    yield data * 20
    for opening, closing in NEST.items():
        yield data + opening.encode() * 3000 + closing.encode() * 3000
        yield opening.encode() * 3000 + data
    yield data + b" " * 200_000 + data
    yield data.replace(b"\n", b"\r\n")
    yield data.replace(b" ", b"\t\n" * 50)


def survives(sample: str, path: str, lang: str) -> None:
    """Neither parsing nor resolving raises, whatever the text; and answers are files of the repository."""
    speaker = language(lang)
    assert speaker is not None
    for text in hostile(sample):
        files = Files(
            [(path, File(lang, text)), ("other/" + path, File(lang, sample.encode())), ("x", File(None, text))]
        )
        assert graph(files).imports.keys() == files.keys()

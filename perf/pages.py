"""HTML to text: ours, resiliparse and trafilatura in turn on the same pages, on one core.

    python perf/pages.py [FOLDER_OF_HTML ...]

Without folders the pages are made: functions of the standard library and what their docstrings say, in five templates
with menus, side bars, advertisements and footers (Sphinx, a blog of nested `div`, a forum of layout tables, a listing
with numbered lines, and one with neither classes nor elements that tell). There what belongs to a page is known:
printed are the share of its words that come out, and of the words around it. With folders the pages are their files,
up to MEGABYTES.

Printed are MB of HTML a CPU-second, the ratio to each peer, and the share of code blocks with indented lines that come
out line by line as they stood. Peers come with the extras `pages` and `peers`.
"""

import ast
import html
import random
import re
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree
from trafilatura import extract  # pyright: ignore[reportMissingImports]

from smallcoder.data.pages.html import page_text

MEGABYTES = 12.0
ROUNDS = 2
FUNCTIONS = 4  # of a page
MENU = ["Home", "Downloads", "Pricing", "Documentation", "Community", "Support", "Careers", "Partners", "Newsletter"]


@dataclass(frozen=True)
class Page:
    """A page, the words that belong to it, those of what surrounds them, and its blocks of code."""

    markup: str
    words: Counter[str]
    around: Counter[str]
    code: list[str]


def main(folders: list[str]) -> None:
    pages = read(folders) if folders else made()
    size = sum(len(page.markup.encode()) for page in pages) / 1e6
    print(f"{len(pages)} pages, {size:.1f} MB, {sum(len(page.code) for page in pages)} blocks of code with indentation")
    ways: dict[str, Callable[[str], str]] = {
        "smallcoder": lambda markup: page_text(markup.encode()),
        "resiliparse": lambda markup: extract_plain_text(markup, preserve_formatting=True, main_content=True),
        "trafilatura": lambda markup: extract(markup, include_comments=False) or "",
    }
    for way in ways.values():
        way(pages[0].markup)  # compiled and imported
    best = dict.fromkeys(ways, float("inf"))
    texts: dict[str, list[str]] = {}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.process_time()
            texts[name] = [way(page.markup) for page in pages]
            best[name] = min(best[name], time.process_time() - start)
    for name, seconds in best.items():
        ratio = "" if name == "smallcoder" else f", ratio {seconds / best['smallcoder']:.1f}"
        print(f"{name:12} {size / seconds:6.1f} MB per CPU-second{ratio}; {judged(pages, texts[name])}")


def judged(pages: list[Page], texts: list[str]) -> str:
    """How much of the code and of the words is there."""
    blocks = sum(len(page.code) for page in pages)
    whole = sum(block in plain(text) for page, text in zip(pages, texts, strict=True) for block in page.code)
    shown = f"code kept {whole / max(blocks, 1):.3f}"
    kept = wanted = leaked = around = 0
    for page, text in zip(pages, texts, strict=True):
        said = words(text)
        kept, wanted = kept + (said & page.words).total(), wanted + page.words.total()
        leaked, around = leaked + ((said - page.words) & page.around).total(), around + page.around.total()
    if wanted:
        shown += f", words kept {kept / wanted:.3f}, words around them leaked {leaked / around:.3f}"
    return shown


def words(text: str) -> Counter[str]:
    return Counter(word for part in text.split() if (word := "".join(filter(str.isalnum, part))))


def plain(text: str) -> str:
    """Without blanks at line ends, which no tool keeps alike."""
    return "\n".join(line.rstrip() for line in text.split("\n"))


def indented(code: str) -> bool:
    lines = code.split("\n")
    return len(lines) > 2 and any(line[:1] in (" ", "\t") and line.strip() for line in lines)


def read(folders: list[str]) -> list[Page]:
    """Files of folders in an order of their own, up to MEGABYTES, a quarter of a MB of each at most."""
    paths = sorted(path for folder in folders for path in Path(folder).rglob("*.html"))
    random.Random(0).shuffle(paths)
    pages, left = [], MEGABYTES * 1e6
    for path in paths:
        data = path.read_bytes()
        if left > 0 and 500 < len(data) < 250_000:
            markup = data.decode("utf-8", "replace")
            body = HTMLTree.parse(markup).body
            found = (
                [plain(node.text or "").strip("\n").rstrip() for node in body.query_selector_all("pre")] if body else []
            )
            pages.append(Page(markup, Counter(), Counter(), [code for code in found if indented(code)]))
            left -= len(data)
    return pages


def made() -> list[Page]:
    """Pages of the standard library's functions, up to MEGABYTES."""
    rng, pages, left = random.Random(0), [], MEGABYTES * 1e6
    sources = sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py"))
    rng.shuffle(sources)
    for path in sources:
        if left <= 0 or "site-packages" in path.parts or not (functions := documented(path)):
            continue
        for first in range(0, len(functions), FUNCTIONS):
            frame, block = rng.choice(TEMPLATES)
            frame = re.sub("MENU", lambda _: links(rng, 9), frame)
            pages.append(page(path.stem, functions[first : first + FUNCTIONS], frame, block))
            left -= len(pages[-1].markup)
    return pages


def documented(path: Path) -> list[tuple[str, str, str]]:
    """Names, first paragraphs of docstrings and sources of a file's functions."""
    try:
        text = path.read_text("utf-8")
        tree = ast.parse(text)
    except (ValueError, SyntaxError):
        return []
    lines, found = text.split("\n"), []
    for node in tree.body:
        said = ast.get_docstring(node) if isinstance(node, ast.FunctionDef) else None
        if isinstance(node, ast.FunctionDef) and said and len(said) > 60 and 3 < node.end_lineno - node.lineno < 80:  # type: ignore[operator]
            code = plain("\n".join(lines[node.lineno - 1 : node.end_lineno]).expandtabs())
            found.append((node.name, " ".join(said.split()), code))
    return found


def page(title: str, functions: list[tuple[str, str, str]], frame: str, block: Callable[[str], str]) -> Page:
    """A page in a frame that holds BODY, with a way to show code."""
    parts, known = [f"<h1>{title}</h1>"], [title]
    for name, said, code in functions:
        parts.append(
            f"<h2>{name}</h2>\n<p>{html.escape(said)}</p>\n{block(code)}\n<p>So it is <code>{name}</code>.</p>"
        )
        known += [name, said, code, "So it is", name]
    around = words(re.sub(r"<script.*?</script>|<[^>]*>|BODY", " ", frame))
    code = [source for _, _, source in functions if indented(source)]
    return Page(frame.replace("BODY", "\n".join(parts)), words(" ".join(known)), around, code)


def coloured(code: str) -> str:
    """As Pygments writes it: keywords and names in elements of their own."""
    kept = {"def": "k", "return": "k", "if": "k", "for": "k", "in": "ow", "not": "ow", "self": "bp", "None": "kc"}
    return "".join(
        f'<span class="{kept[part]}">{part}</span>' if part in kept else html.escape(part)
        for part in "".join(letter if letter.isalnum() else f"\1{letter}\1" for letter in code).split("\1")
    )


def links(rng: random.Random, count: int) -> str:
    return "".join(f'<li><a href="/{at}">{rng.choice(MENU)} {rng.choice(MENU)}</a></li>' for at in range(count))


SPHINX = """<html><head><title>T</title></head><body><div class="related" role="navigation"><ul>MENU</ul></div>
<div class="document"><div class="documentwrapper"><div class="body" role="main">BODY</div></div>
<div class="sphinxsidebar" role="navigation"><h3>Contents</h3><ul>MENU MENU</ul></div></div>
<div class="footer">&copy; 2024 Somebody. Created using Sphinx.</div></body></html>"""
BLOG = """<html><body class="single has-sidebar"><div id="masthead"><div class="nav-menu"><ul>MENU</ul></div></div>
<div id="page"><div class="content-area"><div class="entry-content">BODY</div></div>
<div id="secondary" class="sidebar widget-area"><div class="widget"><h3>Recent</h3><ul>MENU</ul></div>
<div class="ad-slot">Buy this book about gardens now.</div></div></div>
<div class="cookie-notice">This site uses cookies to improve your visit.</div>
<div id="site-footer"><p>All rights reserved.</p></div><script>var a = "<p>no text</p>";</script></body></html>"""
FORUM = """<html><body><table width=100%><tr><td><a href=/>Forum</a> <a href=/faq>FAQ</a> <a href=/in>Log in</a></td>
</tr></table><table><tr><td width=150><ul>MENU</ul></td><td>BODY</td></tr></table>
<p><a href=/a>About</a> | <a href=/c>Contact</a></p></body></html>"""
LISTING = """<html><body><header class="Header"><ul>MENU</ul></header><main><div class="repository-content">BODY</div>
</main><footer><ul>MENU</ul></footer></body></html>"""
BARE = "<html><body><div><ul>MENU</ul></div><div>BODY</div><div><ul>MENU</ul></div></body></html>"


def numbered(code: str) -> str:
    rows = "".join(
        f'<tr><td id="L{at}" class="blob-num" data-line-number="{at}"></td>'
        f'<td class="blob-code js-file-line">{coloured(line)}</td></tr>'
        for at, line in enumerate(code.split("\n"), 1)
    )
    return f'<div class="blob-wrapper"><table class="highlight">{rows}</table></div>'


TEMPLATES: tuple[tuple[str, Callable[[str], str]], ...] = (
    (SPHINX, lambda code: f'<div class="highlight-python"><pre><span></span>{coloured(code)}\n</pre></div>'),
    (BLOG, lambda code: f'<pre><code class="language-python">{html.escape(code)}</code></pre>'),
    (FORUM, lambda code: f"<pre>{html.escape(code).replace('    ', '&nbsp;   ')}</pre>"),
    (LISTING, numbered),
    (BARE, lambda code: f"<pre>{html.escape(code)}</pre>"),
)

if __name__ == "__main__":
    main(sys.argv[1:])

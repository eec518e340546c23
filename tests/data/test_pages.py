"""Pages become text: code and mathematics whole, without boilerplate, in linear time whatever they hold."""

import html
import random
import re
from html.entities import html5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.data.pages.html import page_license, page_text, utf8

CODE = "def f(x):\n    if x < 1 and x > -1:\n\n        return 'a&b'\n\treturn 2"
ESCAPED = html.escape(CODE)


def fenced(code: str = CODE, label: str = "") -> str:
    return f"```{label}\n{code}\n```"


LINES = [f"<td class='blob-num'>{at}</td><td class='blob-code blob-code-inner'>{html.escape(line) or ' '}</td>"
         for at, line in enumerate(CODE.split("\n"), 1)]  # fmt: skip
SAME_CODE = {  # ways in which the same code stands in pages
    "pre": (f"<pre>{ESCAPED}</pre>", ""),
    "pre code": (f"<pre><code class='hljs language-python'>\n{ESCAPED}\n</code></pre>", "python"),
    "sphinx": (f"<div class='highlight-python notranslate'><div class='highlight'><pre><span></span>"
               f"<span class='k'>def</span>{ESCAPED[3:]}\n</pre></div></div>", "python"),
    "numbers": ("<table class='highlighttable'><tr><td class='linenos'><div class='linenodiv'><pre>1\n2\n3\n4\n5</pre>"
                f"</div></td><td class='code'><div><pre>{ESCAPED}\n</pre></div></td></tr></table>", ""),
    "github": ("<table>" + "".join(f"<tr>{line}</tr>" for line in LINES) + "</table>", ""),
    "breaks": (f"<pre>{ESCAPED.replace(chr(10), '<br>')}</pre>", ""),
    "no-break spaces": (f"<pre>{ESCAPED.replace('    ', '&nbsp;' * 4)}</pre>", ""),
    "style": (f"<div style='color: red; white-space: pre-wrap'>{ESCAPED}</div>", ""),
    "code alone": (f"<p><code>{ESCAPED}</code></p>", ""),
    "lines": ("<pre>" + "".join(f"<div class='line'>{html.escape(line)}</div>" if line else "<div>\n</div>"
                                for line in CODE.split("\n")) + "</pre>", ""),
    "linked numbers": ("<pre>" + "\n".join(f"<a href=#{at} id={at} data-nosnippet>{at}</a>{html.escape(line)}"
                                             for at, line in enumerate(CODE.split("\n"))) + "</pre>", ""),
    "prism": (f"<pre class='line-numbers language-python'><code>{ESCAPED}</code></pre>", "python"),
    "crlf": (f"<PRE>{ESCAPED.replace(chr(10), chr(13) + chr(10))}</PRE>", ""),
    "copy button": (f"<pre><button>Copy</button><code>{ESCAPED}</code></pre>", ""),
}  # fmt: skip


@pytest.mark.parametrize("way", SAME_CODE)
def test_code_stands_as_it_was_written(way) -> None:
    markup, label = SAME_CODE[way]
    found = page_text(f"<body><p>Before   it.</p>{markup}<p>After <b>it</b>.</body>".encode())
    assert found.split("\n") == ["Before it.", "", *fenced(label=label).split("\n"), "", "After it."]


TEX = r"\frac{a}{b} < \alpha_1"
ANNOTATED = (f"<math xmlns='x'><semantics><mrow><mi>a</mi><mo>/</mo></mrow><annotation encoding='application/x-tex'>"
             f"{html.escape(TEX)}</annotation></semantics></math>")  # fmt: skip
SAME_MATH = {
    "mathjax": "<span class='MathJax_Preview'>a/b</span><span class='MathJax'>a/b</span>"
               f"<script type='math/tex'>{TEX}</script>",
    "katex": f"<span class='katex'><span class='katex-mathml'>{ANNOTATED}</span>"
             "<span class='katex-html' aria-hidden='true'>a/b</span></span>",
    "alttext": f"<math alttext='{html.escape(TEX)}'><mi>a</mi><mo>/</mo><mi>b</mi></math>",
    "picture": f"<img class='latex' alt='{html.escape(TEX)}' src='x.png'>",
    "text": f"${html.escape(TEX)}$",
}  # fmt: skip


@pytest.mark.parametrize("way", SAME_MATH)
def test_mathematics_comes_as_tex(way) -> None:
    assert page_text(f"<p>Let {SAME_MATH[way]} be.</p>".encode()) == f"Let ${TEX}$ be."


def test_displayed_mathematics_has_two_dollars() -> None:
    for markup in (
        "<script type='math/tex; mode=display'>x</script>",
        "<math display=block alttext=x></math>",
        ANNOTATED.replace("<math", "<math display='block'").replace("application/x-tex", "LaTeX"),
    ):
        assert re.fullmatch(r"\$\$.+\$\$", page_text(markup.encode()))


PAGE = """<!DOCTYPE html><html class="sidebar-visible no-js"><head><title>T</title><style>p{}</style>
<script type="text/javascript">if (a<b) "</p>"</script></head>
<body class="has-sidebar"><header><a href=/>Site</a><p>Slogan of it</p></header>
<nav><ul><li><a href=a>Home</a><li><a href=b>Docs</a></ul></nav><div class="cookie-banner">We use cookies.</div>
<div class="page-wrapper"><div id="toc"><ul><li><a href=#1>One</a></ul></div>
<h1>Title <a class="headerlink" href="#x">¶</a></h1><p>A paragraph with <code>x_1</code> &amp; a <a href=c>link</a>
that goes on.<p>Second one, <b>no end tag<p>Third</b> one.
<ol><li>first<li>second<ul><li>nested</ul></ol><table><tr><th>A<th>B<tr><td>1<td><b>2</b></table>
<div hidden>hidden</div><span style="display: none">none</span><!-- comment <p> --><h2>Sub</h2>
<blockquote>Said.</blockquote>
</div><div class="related-posts"><h3>Related</h3><a href=d>Other</a></div><aside>Aside</aside>
<footer>Copyright</footer></body></html>"""


def test_a_whole_page() -> None:
    expected = """# Title

A paragraph with `x_1` & a link that goes on.

Second one, no end tag

Third one.

1. first
2. second
  - nested

A | B

1 | 2

## Sub

Said."""
    assert page_text(PAGE.encode()) == expected
    assert page_text(PAGE.upper().replace("X_1", "x_1").encode()).lower() == expected.lower()


def test_a_main_part_is_all_and_a_page_that_is_all_boilerplate_by_class_stays() -> None:
    words = "<p>" + "Words of the text that matter. " * 20
    found = page_text(f"<div>Elsewhere {words}</div><main>Here {words}<aside>x</aside></main>".encode())
    assert found.startswith("Here")
    assert "Elsewhere" not in found
    assert "Words" in page_text(f"<div class='sidebar'>{words}</div>".encode())
    menu = "".join(f"<div><a href={at}>Menu {at}</a></div>" for at in range(9))
    assert page_text(f"<body>{menu}<p>One <a href=x>link</a>.</p>".encode()) == "One link."
    alone = b"<p>Before it.</p><p><a href=x>One link</a></p><p>After it.</p>"  # two more would make it a menu
    assert page_text(alone) == "Before it.\n\nOne link\n\nAfter it."
    assert page_text(b"<p style='" + b" " * 300_000 + b"'>Text.</p>") == "Text."
    # an unclosed container of boilerplate does not swallow the page
    assert page_text(f"<div><div class=menu><a href=x>Menu</a></div>{words}".encode()).startswith("Words")


def test_ids_made_of_headings_are_no_boilerplate() -> None:
    for markup in (
        '<section id="cookies"><h2 id="cookies">Cookies</h2><p>Text.</p></section>',
        '<div class="section" id="related-search"><h2>Cookies</h2><p>Text.</p></div>',
        '<div id="share" class="section"><h2>Cookies</h2><p>Text.</p></div>',
    ):
        assert page_text(f"<p>Before.</p>{markup}".encode()) == "Before.\n\n## Cookies\n\nText."
    for markup in ('<div id="cookies">Text.</div>', '<section class="related-posts"><p>Text.</p></section>'):
        assert page_text(f"<p>Before.</p>{markup}".encode()) == "Before."


def test_encodings() -> None:
    text = "Grüße, naïve “quotes” – привет" * 3
    body = f"<p>{text}</p>"
    western = "<p>" + "Viele Grüße aus Köln, wo Bäume blühen und Äpfel süß schmecken. " * 5
    for data, charset in (
        (body.encode(), None),
        (body.encode(), "iso-8859-1"),  # valid UTF-8 is UTF-8
        (body.encode("utf-16"), None),
        (body.encode("utf-8-sig"), "latin1"),
        (b'<meta charset="koi8-r">' + "<p>привет</p>".encode("koi8-r"), None),
        ("<p>привет</p>".encode("cp1251"), "windows-1251"),
        (western.encode("cp1252"), "iso-8859-1"),
        (western.encode("cp1252"), "utf-8"),
        ("<p>日本語の文章です。これは試験です。</p>".encode("shift_jis"), "Shift_JIS"),
        ("<p>日本語</p>".encode("iso-2022-jp"), "iso-2022-jp"),
    ):
        pytest.importorskip("resiliparse", reason="the extra `pages` is not installed")
        found = page_text(data, charset)
        assert found in (text, "привет", western[3:].strip(), "日本語の文章です。これは試験です。", "日本語"), (
            charset,
            found,
        )
    assert utf8(b"<p>caf\xc3\xa9 \xff") != b""


def test_characters_by_name_and_number() -> None:
    names = "&lt;&amp;lt;&eacute;&notin;&#233;&#xE9;&#150;&#x1F600;&#0;&hellip;&copy &unknown; a&b &#; &#xZ; &"
    assert page_text(f"<p>{names}".encode()) == "<&lt;é∉éé–😀\ufffd…© &unknown; a&b &#; &#xZ; &"
    rng = random.Random(0)
    for name in rng.sample(sorted(html5), 300):
        if name.endswith(";") and not html.unescape(f"&{name}").isspace() and html.unescape(f"&{name}").isprintable():
            assert page_text(f"<p>.&{name}.".encode()) == f".{html.unescape(f'&{name}')}."


def test_the_licence_that_a_page_states() -> None:
    url = "https://creativecommons.org/licenses/by-sa/4.0/"
    assert page_license(f'<a class="x" rel="license noopener" href="{url}">CC</a>'.encode()) == "CC-BY-SA-4.0"
    assert page_license(b"<link href='//creativecommons.org/publicdomain/zero/1.0/' rel=license>") == "CC0-1.0"
    assert page_license(f'<a href="{url}">CC</a>'.encode()) is None
    both = f'<a rel=license href="{url}"></a><a rel=license href="{url.replace("-sa", "")}"></a>'
    assert page_license(both.encode()) is None


PIECES = ["<div>", "</div>", "<b>", "</b>", "<p>", "<a href=x>", "</a>", "<table>", "<td>", "</td>", "<tr>", "<li>",
          "<ul>", "<pre>", "</pre>", "<code>", "</code>", "<math>", "</math>", "<annotation encoding=tex>", "<script>",
          "</script>", "<script type=math/tex>", "<!--", "-->", "<nav>", "</nav>", "<main>", "<td class=blob-code>",
          "<span hidden>", "<img class=latex alt='x&amp;'>", "<br>", "<h2>", "&lt;", "&", "&#x", "a b", "\n  ", "<",
          ">", "\"", "'", "=", "\0",
          "é", "\u00a0", "<textarea>", "<plaintext>", "<xmp>", "</xmp>", "<div class='a-nav b_c sideBar'>"]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=40))
def test_any_page_becomes_text(pieces) -> None:
    data = "".join(pieces).encode("utf-8", "surrogatepass")
    found = page_text(data)
    assert "\0" not in found
    assert len(found.encode()) <= 6 * len(data) + 40


@pytest.mark.parametrize(
    "piece", [*PIECES, "<b><div>", "<p a", "<p a='", "<a <a ", "<ul><li>", "</div><b>", "<code>\n"]
)
def test_hostile_pages_take_linear_time(piece) -> None:
    """The largest of these took minutes where time grew with the square: nothing is asserted but that it ends."""
    page_text((piece * (400_000 // len(piece))).encode("utf-8"))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([None, "utf-8", "gbk", "nonsense", "utf-7"]))
def test_any_bytes(data, charset) -> None:
    pytest.importorskip("resiliparse", reason="the extra `pages` is not installed")
    page_text(b"<p>" + data, charset)
    page_license(b"creativecommons.org/" + data)

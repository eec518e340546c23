"""Sentences of ten languages are told apart in prose and in comments; what is mixed or odd is called uncertain."""

import random
import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcoder.core.errors import InputError
from smallcoder.core.tables import table_digest
from smallcoder.data import natural
from smallcoder.data.natural import natural_language

SAID = {
    "en": "The reader opens every file of the folder and returns the lines that were changed since the last run.",
    "de": "Der Leser öffnet jede Datei des Ordners und gibt die Zeilen zurück, die neu sind.",
    "fr": "Le lecteur ouvre chaque fichier du dossier et renvoie les lignes qui ont été modifiées depuis.",
    "es": "El lector abre cada archivo de la carpeta y devuelve las líneas que han cambiado desde ayer.",
    "pt": "O leitor abre cada arquivo da pasta e devolve as linhas que foram alteradas desde a última vez.",
    "it": "Il lettore apre ogni file della cartella e restituisce le righe che sono state modificate dopo.",
    "ru": "Он открывает каждый файл в папке и возвращает строки, которые изменились с момента последнего запуска.",
    "zh": "读取器打开文件夹中的每个文件，并返回自上次运行以来发生更改的行。如果文件不存在，则返回错误信息。",
    "ja": "この関数はフォルダ内のすべてのファイルを開き、前回の実行以降に変更された行を返します。",
    "ko": "이 함수는 폴더의 모든 파일을 열고 마지막 실행 이후 변경된 줄을 반환합니다. 파일이 없으면 오류를 반환합니다.",
}
CODE = "def read(path, mode='r', *, encoding=None):\n    with open(path, mode) as file:\n        return file.read()\n\n"


def python(sentence: str, times: int = 3) -> str:
    return f'"""{sentence}"""\n{CODE}' + "".join(f"# {sentence}\n{CODE}" for _ in range(times))


@pytest.mark.parametrize("code", SAID)
def test_each_language_in_prose_and_in_comments(code, documents, run) -> None:
    assert natural_language(SAID[code] * 2).language == code
    made = documents([{"text": SAID[code] * 3, "lang": "markdown"}, {"text": python(SAID[code])}])
    kept, dropped, facts = run(natural, {"natural": ["en", code]}, documents=made)
    assert (len(kept), len(dropped)) == (2, 0)
    assert facts["natural"][code]["records"] == 2
    assert facts["judged"] == {"text": 1, "comments": 1, "too_little": 0, "not_looked_at": 0}


def test_what_is_not_wanted_goes_with_its_reason(documents, run) -> None:
    items = [{"text": python(sentence), "id": code} for code, sentence in SAID.items()]
    mixed = " ".join(SAID[code] for code in ("en", "de", "fr", "es"))
    items.append({"text": mixed * 3, "lang": "text", "id": "mixed"})
    rng = random.Random(0)
    noise = " ".join("".join(rng.choices("bcdfghjklmnpqrstvwxz", k=6)) for _ in range(200))
    items.append({"text": python(noise, 0), "id": "noise"})
    kept, dropped, facts = run(natural, {}, documents=documents([{"text": python(SAID["en"]), "id": "en2"}, *items]))
    assert {row["id"] for row in kept} == {"en", "en2"}
    reasons = {row["id"]: row["reason"] for row in dropped}
    assert {reasons.pop("mixed"), reasons.pop("noise")} == {"language_uncertain"}
    assert set(reasons.values()) == {"natural_language"}
    assert set(reasons) == set(SAID) - {"en"}
    assert facts["natural"]["en"]["bytes"] >= 2 * len(python(SAID["en"]))
    assert facts["headline"].startswith("en 2, ")


def test_little_text_and_other_kinds_stay(documents, run) -> None:
    items = [CODE * 20, {"text": python(SAID["ru"], 0)[:60]}, {"text": '{"a": 1}' * 99, "lang": "json"}]
    items.append({"text": SAID["de"] * 9, "lang": "json"})
    kept, _, facts = run(natural, {}, documents=documents(items))
    assert len(kept) == 4
    assert facts["judged"]["too_little"] == 2
    assert facts["judged"]["not_looked_at"] == 2
    kept, dropped, _ = run(
        natural, {"code": False}, documents=documents([python(SAID["de"]), {"text": SAID["de"] * 9, "lang": None}])
    )
    assert len(kept) == len(dropped) == 1


def test_code_in_prose_does_not_count() -> None:
    text = SAID["de"] * 2 + "\n\n```\n" + python(SAID["en"], 20) + "```\n\nSiehe `the function of the reader` unter "
    found = natural_language(text + "https://example.org/the/page/of/the/reader/in/english/words\n")
    assert found.language == "de"
    assert found.confidence > 0.9


def test_html_tags_do_not_count() -> None:
    page = f"<html><body><div class='the container of the page'><p>{SAID['fr'] * 3}</p></div></body></html>"
    assert natural_language(page, html=True).language == "fr"


def test_settings_are_checked(documents, run) -> None:
    with pytest.raises(InputError, match="english"):
        run(natural, {"natural": ["english"]}, documents=documents(["x"]))
    kept, _, _ = run(
        natural,
        {"natural": []},
        documents=documents([python(SAID["ko"]), python(SAID["ru"])]),
    )
    assert len(kept) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0",
        "\ud800",
        "\ufffe\uffff",
        "\x01\x7f\x85",
        "\U0010ffff" * 99,
        "a" * 3_000_000,
        "\n" * 100_000,
        "`" * 9999,
    ],
)
def test_hostile_text_never_raises(text) -> None:
    for html in (False, True):
        assert natural_language(text, html).language
    around = natural_language(SAID["en"] + text[:2000] + SAID["en"] * 3)
    assert around.language in {"en", "unknown"}


def test_controls_do_not_hide_a_language() -> None:
    broken = SAID["fr"].replace("chaque", "chaque\0\x01").replace("lignes", "lignes\ud800") * 3
    assert natural_language(broken).language == "fr"


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_any_text(text) -> None:
    found = natural_language(text)
    assert 0 <= found.confidence <= 1
    assert found.bytes >= 0


def test_workers_change_nothing(documents, run) -> None:
    items = [{"text": python(SAID[code]) + f"# {at}\n", "id": f"{code}{at}"} for at in range(30) for code in SAID]
    digests = set()
    for workers in (1, 2):
        kept, dropped, _ = run(natural, {"workers": workers}, documents=documents(items))
        digests.add(tuple(table_digest([pa.RecordBatch.from_pylist(part)]) for part in (kept, dropped)))
    assert len(digests) == 1


SPELT_AS_CODE = re.compile(r"(?<![!-~])[!-~]*(?:[_@\\/<>{}=$|`\[\]#*~^+]|[a-z][.(:][A-Za-z])[!-~]*")


@given(st.text(st.sampled_from("abZ.(:_/= \n\té中\ud800'1,"), max_size=40))
@settings(max_examples=300)
def test_what_is_spelt_as_code_becomes_a_blank(text) -> None:
    assert natural.without_code(text) == SPELT_AS_CODE.sub(" ", text)

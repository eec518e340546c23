"""A judge is asked over HTTP, patiently and never twice, its answers are read strictly, and no key is written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallcoder.core.errors import EmptyError, InputError
from smallcoder.core.manifest import STATE
from smallcoder.data.judge import client, stage
from smallcoder.data.judge.client import Judge, Server
from smallcoder.data.judge.question import Question, load_question
from tests.data.conftest import rows
from tests.data.judges import judging

PAGE = load_question("page")
GRADES = '{"code_relevance": 4, "educational_value": 3, "cleanliness": 5}'


@pytest.fixture(autouse=True)
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(client, "PAUSE", 0.001)


def by_code(text: str) -> str:
    """5 where there is code, else 1; no answer to speak of for a page that wants none."""
    if "silent" in text:
        return "I would rather not say."
    grade = 5 if "def " in text else 1
    return f'Thinking {{aloud}}.\n{{"code_relevance": {grade}, "educational_value": 3, "cleanliness": 4}}'


def judged(out, config, **inputs):
    out.mkdir(exist_ok=True)
    return stage.run(stage.Config(**config), inputs, out)


def test_answers_are_read_strictly() -> None:
    one = Question("", "{text}", ("score",), 1, 5)
    truth = load_question("consistency")
    for question, answer, grades in [
        (PAGE, GRADES, (4, 3, 5)),
        (PAGE, f"Step 1: {{...}} the page.\n```json\n{GRADES}\n```", (4, 3, 5)),
        (PAGE, f"{GRADES}\nNo, wait.\n{GRADES.replace('4', '2')}", (2, 3, 5)),
        (PAGE, GRADES.replace("4", "6"), None),
        (PAGE, GRADES.replace("4", "4.0"), None),
        (PAGE, GRADES.replace("4", "true"), None),
        (PAGE, GRADES.replace("4", '"4"'), None),
        (PAGE, '{"code_relevance": 4}', None),
        (PAGE, "4", None),
        (PAGE, "4 3 5", None),
        (PAGE, "", None),
        (PAGE, "}{", None),
        (PAGE, "{" * 5000 + "}", None),
        (one, "4", (4,)),
        (one, " 4.\n", (4,)),
        (one, '{"score": 4}', (4,)),
        (one, '{"score": 4, "why": "it closes {no} brace: }"}', (4,)),
        (one, 'f{x} is {"a": 1}, so {"score": 4, "why": {"score": 5, "b": "{"}} it is, {not 5}', (4,)),
        (one, '{"score": 4} or {"score": 3', (4,)),
        (one, '{"score": 4} or {"score": true}', None),
        (one, '{"score": 4}' + "{" * 100_000, None),
        (one, '{"a":' * 100_000, None),
        (one, "Score: 4", None),
        (one, "6", None),
        (one, "44", None),
        (truth, '{"consistent": false}', (0,)),
        (truth, '1. It adds.\n4. They agree.\n{"consistent": true}', (1,)),
        (truth, "false", (0,)),
        (truth, "True.", (1,)),
        (truth, '{"consistent": "true"}', None),
        (truth, "maybe", None),
        (truth, "2", None),
    ]:
        assert question.read(answer) == grades, (question.scales, answer)


@given(st.text())
def test_any_answer(answer) -> None:
    found = PAGE.read(answer)
    assert found is None or len(found) == 3


def test_scores_of_a_sample(documents, tmp_path) -> None:
    texts = [{"id": f"{at}", "text": ("def f(): pass" if at % 2 else "words") + f" {at}"} for at in range(40)]
    texts += [{"id": "s", "text": "silent"}, {"id": "blank", "text": " \n"}]
    with judging(by_code) as server:
        config = {"url": server.url, "model": "rules", "concurrency": 3}
        facts = judged(tmp_path / "all", config, documents=documents(texts))
        assert 1 < server.most_under_way <= 3
        few = judged(tmp_path / "few", config | {"sample": 10}, documents=documents(texts), more=documents(texts[:5]))
        again = judged(
            tmp_path / "again",
            config | {"sample": 10, "concurrency": 1},
            documents=documents(texts[::-1]),
            more=documents(texts[:5]),
        )
    scores = {row["id"]: row for row in rows(tmp_path / "all" / "scores")}
    assert {id: row["value"] for id, row in scores.items()} == {f"{at}": 3.0 if at % 2 else 1.0 for at in range(40)}
    assert {row["name"] for row in scores.values()} == {"page"}
    grades = rows(tmp_path / "all" / "grades")
    assert len(grades) == 3 * 40
    assert {row["name"] for row in grades} == {f"page.{scale}" for scale in PAGE.scales}
    assert (facts["asked"], facts["records"], facts["unparsable"]) == (41, 40, 1)
    assert facts["grades"]["code_relevance"] == {"1": 20, "2": 0, "3": 0, "4": 0, "5": 20}
    assert 10 <= few["asked"] <= 15
    assert rows(tmp_path / "few" / "scores") == rows(tmp_path / "again" / "scores")
    assert few == again


def test_trouble_is_waited_out(tmp_path) -> None:
    troubles = {
        0: (503, {}, b"busy"),
        1: (429, {"Retry-After": "0"}, b""),
        2: (0, {}, b""),
        3: (200, {}, b"<html>no JSON</html>"),
        4: (200, {}, b'{"choices": []}'),
        5: (500, {"Retry-After": "soon"}, b""),
    }
    with judging(by_code, troubles.get) as server, Judge(Server(server.url, "rules"), tmp_path, 1) as judge:
        assert list(judge.answers([PAGE.messages("def f", "python")])) == [by_code("def f")]
        assert len(server.seen) == 7


def test_what_cannot_be_mended_is_one_line(tmp_path, documents, monkeypatch) -> None:
    monkeypatch.setattr(client, "RETRIES", 2)
    texts = documents(["def f(): pass"])
    for trouble in ((401, {}, b"bad key"), (404, {}, b"no such model"), (503, {}, b"busy"), (0, {}, b"")):
        with judging(by_code, lambda _, trouble=trouble: trouble) as server, pytest.raises(InputError) as caught:
            judged(tmp_path / f"{trouble[0]}", {"url": server.url, "model": "rules"}, documents=texts)
        assert "\n" not in str(caught.value)
    for url in ("localhost:80", "ftp://x", "http://127.0.0.1:9/v1"):
        with pytest.raises(InputError):
            judged(tmp_path / "url", {"url": url, "model": "rules"}, documents=texts)
    with judging(lambda _: "no idea") as server, pytest.raises(EmptyError):
        judged(tmp_path / "none", {"url": server.url, "model": "rules"}, documents=texts)
    with pytest.raises(InputError, match="no question"):
        judged(tmp_path / "question", {"model": "rules", "question": "pag"}, documents=texts)
    with pytest.raises(ValueError, match="key"):
        stage.Config(model="rules", url="http://user:secret@host/v1")


def test_no_question_is_asked_twice(tmp_path, documents) -> None:
    texts = documents([f"def f(): return {at}" for at in range(30)])
    cache = tmp_path / "cache"

    def stopping(number):
        return (401, {}, b"out of credit") if number >= 12 else None

    with judging(by_code, stopping) as server, pytest.raises(InputError):
        judged(tmp_path / "a", {"url": server.url, "model": "rules", "cache": str(cache)}, documents=texts)
    for path in cache.iterdir():  # a kill in the middle of a line
        path.write_bytes(path.read_bytes() + b'{"request": "12')
    kept = sum(path.read_bytes().count(b"\n") for path in cache.iterdir())
    assert kept >= 8
    with judging(by_code) as server:
        config = {"url": server.url, "model": "rules", "cache": str(cache)}
        first = judged(tmp_path / "b", config, documents=texts)
        assert len(server.seen) == 30 - kept
        assert judged(tmp_path / "c", config, documents=texts) == first
        assert len(server.seen) == 30 - kept
        judged(tmp_path / "d", config | {"temperature": 0.5}, documents=texts)
        assert len(server.seen) == 60 - kept
    assert rows(tmp_path / "b" / "scores") == rows(tmp_path / "c" / "scores")
    with judging(by_code) as server:  # without a cache of its own a stage keeps answers in its state
        config = {"url": server.url, "model": "rules"}
        judged(tmp_path / "e", config, documents=texts)
        assert (tmp_path / "e" / STATE).is_dir()
        judged(tmp_path / "e", config, documents=texts)
        assert len(server.seen) == 30


def test_the_key_goes_to_the_server_alone(tmp_path, documents, monkeypatch) -> None:
    texts = documents(["def f(): pass"])
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    with judging(by_code) as server:
        config = {"url": server.url, "model": "rules", "key": "JUDGE_KEY", "cache": str(tmp_path / "cache")}
        with pytest.raises(InputError, match="JUDGE_KEY"):
            judged(tmp_path / "none", config, documents=texts)
        monkeypatch.setenv("JUDGE_KEY", "s3cret-key")
        facts = judged(tmp_path / "out", config, documents=texts)
        assert server.keys == {"Bearer s3cret-key"}
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"s3cret" not in written
    assert "s3cret" not in json.dumps(facts)
    settings = stage.Config.model_validate(config)
    assert not {"key", "url", "cache"} & set(settings.identity())


def test_a_question_of_ones_own(tmp_path, documents) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[short]\nsystem = "s"\nprompt = "<<<{lang}\\n{text}\\nPA"\nscales = ["short"]\nlow = 1\nhigh = 5\n'
                    '[bad]\nsystem = "s"\nprompt = "no text"\nscales = ["x"]\nlow = 1\nhigh = 5\n')  # fmt: skip
    with judging(lambda text: str(min(5, len(text)))) as server:
        config = {"url": server.url, "model": "rules", "question": f"{path}#short"}
        judged(tmp_path / "out", config, documents=documents(["abc", "a"]))
    assert sorted((row["name"], row["value"]) for row in rows(tmp_path / "out" / "scores")) == [
        ("short", 1),
        ("short", 3),
    ]
    for name in (f"{path}#bad", f"{path}#none", f"{tmp_path}/none.toml#short"):
        with pytest.raises(InputError):
            load_question(name)


def test_a_key_or_an_address_that_is_none_is_refused(monkeypatch) -> None:
    """And the key is not in the message."""
    monkeypatch.setenv("JUDGE_KEY", "sk-very\rsecret")
    with pytest.raises(InputError) as refused:
        Server("http://x/v1", "m", "JUDGE_KEY").secret()
    assert "secret" not in str(refused.value)
    monkeypatch.setenv("JUDGE_KEY", " sk-plain\r\n")
    assert Server("http://x/v1", "m", "JUDGE_KEY").secret() == "sk-plain"
    with pytest.raises(InputError, match="no address"):
        client._split("http://x:99999/v1")

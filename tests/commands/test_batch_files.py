"""The files of a batch: every form of a question, and what a killed run leaves behind."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.commands import CommandError
from gateway.commands.batch_files import Defaults, Question, check, failures_of, kept, questions

FIXED = {"stream": False, "on_disconnect": "continue"}
USER = {"role": "user", "content": "hi"}
KIND = {"role": "system", "content": "Be kind."}


def asked(folder: Path, *lines: Any) -> Path:
    """A file with these values, one a line; a text that is no value is written as it is."""
    file = folder / "in.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.write_text("".join(f"{text}\n" for text in texts), "utf-8")
    return file


def one(folder: Path, line: Any, defaults: Defaults = Defaults()) -> Question:  # noqa: B008
    """The question that a line is."""
    file = asked(folder, line)
    check(file, defaults)
    (question,) = questions(file, defaults)
    return question


@pytest.mark.parametrize(
    ("line", "id", "body"),
    [
        ('"hi"', "1", {"messages": [USER]}),
        ({"prompt": "hi", "model": "m"}, "1", {"messages": [USER], "model": "m"}),
        ({"id": 7, "prompt": "hi", "top_p": 1}, "7", {"messages": [USER], "top_p": 1}),
        ({"id": "a", "system": "Be kind.", "prompt": "hi"}, "a", {"messages": [KIND, USER]}),
        ({"messages": [KIND, USER]}, "1", {"messages": [KIND, USER]}),
        (
            {
                "custom_id": "r-1", "method": "POST", "url": "/v1/chat/completions",
                "body": {"model": "gpt-4o", "messages": [USER], "stream": True},
            },
            "r-1",
            {"model": "gpt-4o", "messages": [USER]},
        ),
    ],
)  # fmt: skip
def test_a_line_may_be_written_in_several_ways(
    tmp_path: Path, line: Any, id: str, body: dict[str, Any]
) -> None:
    """All of them become one request of OpenAI's; a line without an id has its number."""
    question = one(tmp_path, line)
    assert (question.id, question.line, question.body) == (id, 1, {**body, **FIXED})


def test_what_a_line_says_beats_the_options(tmp_path: Path) -> None:
    """Model and system prompt of the command line are for lines without their own."""
    defaults = Defaults(model="m", system="Be kind.")
    assert one(tmp_path, '"hi"', defaults).body["messages"] == [KIND, USER]
    said = one(tmp_path, {"messages": [{"role": "developer", "content": "x"}, USER]}, defaults)
    assert [each["role"] for each in said.body["messages"]] == ["developer", "user"]
    assert one(tmp_path, {"prompt": "hi", "model": "n"}, defaults).body["model"] == "n"


def test_a_file_may_begin_with_a_mark_and_have_empty_lines(tmp_path: Path) -> None:
    """As other systems write them; the numbers are those of the lines."""
    file = tmp_path / "in.jsonl"
    file.write_bytes(b'\xef\xbb\xbf"one"\r\n\r\n"two"')
    assert list(check(file, Defaults())) == ["1", "3"]
    assert [each.id for each in questions(file, Defaults())] == ["1", "3"]


def test_every_wrong_line_is_named_at_once(tmp_path: Path) -> None:
    """Nothing is asked before all of them are right."""
    wrong = [
        "{", "5", '""', {"prompt": 5}, {"messages": []}, {"prompt": "a", "messages": [USER]},
        {"id": [], "prompt": "a"}, {"id": "b", "prompt": "a"}, {"id": "b", "prompt": "a"},
        {"url": "/v1/embeddings", "body": {}},
    ]  # fmt: skip
    file = asked(tmp_path, *wrong)
    with pytest.raises(CommandError) as error:
        check(file, Defaults())
    told = str(error.value).splitlines()
    numbers = [int(line.removeprefix(f"{file}:").partition(":")[0]) for line in told]
    assert numbers == [1, 2, 3, 4, 5, 6, 7, 9, 10]
    assert told[0].endswith(": it is no JSON.")
    assert told[-2].endswith(": the id b is there twice.")


def test_wrong_lines_without_end_are_not_all_told(tmp_path: Path) -> None:
    """A file of another kind is refused in a few lines."""
    file = tmp_path / "in.jsonl"
    file.write_bytes(b"\xff\xfe\n" * 1000)
    with pytest.raises(CommandError) as error:
        check(file, Defaults())
    assert len(str(error.value).splitlines()) == 11


# -- what is kept -----------------------------------------------------------------------------


def test_answers_are_found_again_and_half_a_line_is_none(tmp_path: Path) -> None:
    """What a kill left of a line is taken away; the lines before it stay as they are."""
    file, out = asked(tmp_path, '"one"', '"two"', '"three"'), tmp_path / "out.jsonl"
    digests = check(file, Defaults())
    first, second, third = questions(file, Defaults())
    with kept(out, digests) as answers:
        answers.answer(first, {"answer": "Żółć \ud83d"})
        answers.fail(second, 1, {"code": "x"})
    whole = out.read_bytes()
    out.write_bytes(whole + b'{"id": "3", "li')
    failures_of(out).write_bytes(failures_of(out).read_bytes() + b"{")
    with kept(out, digests) as answers:
        assert (answers.answered, answers.attempts) == ({"1"}, {"2": 1})
        answers.answer(second, {"answer": "2"})
        answers.answer(third, {"answer": "3"})
    lines = [json.loads(line) for line in out.read_bytes().splitlines()]
    assert [(line["id"], line["answer"]) for line in lines] == [
        ("1", "Żółć \ud83d"),
        ("2", "2"),
        ("3", "3"),
    ]
    assert out.read_bytes().startswith(whole)
    assert not failures_of(out).exists()


@pytest.mark.parametrize(
    "text", ["some notes\nof mine", "some notes", '{"a": 1}\n', "[]\n{", '{"id": 1}\n']
)
def test_a_file_of_something_else_stays_as_it_is(tmp_path: Path, text: str) -> None:
    """Neither its last line nor any other is lost to a slip of the hand."""
    out = tmp_path / "notes.txt"
    out.write_text(text)
    with pytest.raises(CommandError, match="this is no line of a batch"), kept(out, {}):
        raise AssertionError("it may not be written")
    assert out.read_text() == text


def test_another_question_under_an_old_id_is_refused(tmp_path: Path) -> None:
    """Its answer would stand for a question that nobody asked any more."""
    out = tmp_path / "out.jsonl"
    file = asked(tmp_path, '"one"')
    with kept(out, check(file, Defaults())) as answers:
        answers.answer(next(questions(file, Defaults())), {"answer": "1"})
    file = asked(tmp_path, '"another"')
    with (
        pytest.raises(CommandError, match="The question 1 is not the one"),
        kept(out, check(file, Defaults())),
    ):
        raise AssertionError("it may not be written")


def test_two_runs_do_not_share_a_file(tmp_path: Path) -> None:
    """The second one ends with a sentence; when the first is over, it may."""
    out = tmp_path / "out.jsonl"
    with (
        kept(out, {}),
        pytest.raises(CommandError, match="Another batch is writing"),
        kept(out, {}),
    ):
        raise AssertionError("it may not be written")
    with kept(out, {}):
        pass

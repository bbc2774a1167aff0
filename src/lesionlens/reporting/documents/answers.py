"""Answers to what reporting guidelines ask; each comes from an artifact, or says why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps

from lesionlens.reporting.documents.facts import RunFacts
from lesionlens.reporting.documents.results import reading
from lesionlens.reporting.documents.stated import FILE, TEXTS


@dataclass(frozen=True)
class Answer:
    """What a run says to one question.

    Attributes:
        text: whole sentences; empty if it says nothing.
        source: file or files that they come from.
        missing: what is not available and why; empty if nothing is missing.
        applies: whether the question applies to a run at all; if not, `text` says why.
    """

    text: str = ""
    source: str = ""
    missing: str = ""
    applies: bool = True

    @classmethod
    def inapplicable(cls, why: str) -> Answer:
        """The answer to a question that does not apply."""
        return cls(text=why, applies=False)


Provider = Callable[[RunFacts], Answer]


def statement(key: str) -> Provider:
    """The provider of what only people know."""

    def answer(facts: RunFacts) -> Answer:
        text = facts.stated.text(key)
        return Answer(text, facts.stated.name) if text else Answer(missing=unstated(key))

    return answer


def unstated(key: str) -> str:
    """Why a statement is not there, and how to make it."""
    return f"no artifact records {TEXTS[key]}; state it as `{key}` in {FILE}"


def lacking(facts: RunFacts, name: str, what: str) -> Answer:
    """The answer where an optional result is not there."""
    return Answer(missing=f"{what}: {facts.results.lacking.get(name, 'not in the run')}")


def guarded(name: str) -> Callable[[Provider], Provider]:
    """Decorate a provider that reads an optional result: if the result lacks something, the error names its file."""

    def decorate(provider: Provider) -> Provider:
        @wraps(provider)
        def answer(facts: RunFacts) -> Answer:
            with reading(name, facts.run.paths):
                return provider(facts)

        return answer

    return decorate


def combined(answers: Iterable[Answer]) -> Answer:
    """Several answers to one question: their texts, sources and what is missing, without repetition."""
    answers = list(answers)
    applying = [answer for answer in answers if answer.applies]
    if not applying:
        return Answer.inapplicable(" ".join(dict.fromkeys(answer.text for answer in answers)))
    shown = [answer for answer in answers if answer.text]
    return Answer(
        " ".join(dict.fromkeys(answer.text for answer in shown)),
        ", ".join(dict.fromkeys(name for answer in shown for name in answer.source.split(", ") if name)),
        "; ".join(dict.fromkeys(answer.missing for answer in applying if answer.missing)),
    )


def words(names: Iterable[str]) -> str:
    """Names in a sentence.

    >>> words(["a", "b", "c"])
    'a, b and c'
    """
    names = list(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


def counted(counts: Mapping[str, int]) -> str:
    """Counts in a sentence.

    >>> counted({"train": 7, "test": 2})
    'train 7, test 2'
    """
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())

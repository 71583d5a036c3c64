"""Judges the selected cases ahead of the tests that ask for them, a few at a time, because each is a process of its own."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from conformance.judge import Judgement, judge
from conformance.node_cases import Case

AT_A_TIME = max(2, min(4, os.cpu_count() or 2))


class Verdicts:
    """The pool and what it found so far; a case is judged once, however many tests ask."""

    def __init__(self) -> None:
        self.pool_ = ThreadPoolExecutor(AT_A_TIME)
        self.judgements_: dict[str, Future[Judgement]] = {}

    def ask(self, case: Case) -> Future[Judgement]:
        if case.name not in self.judgements_:
            self.judgements_[case.name] = self.pool_.submit(judge, case)
        return self.judgements_[case.name]

    def close(self) -> None:
        self.pool_.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def verdicts(request: pytest.FixtureRequest):
    shared = Verdicts()
    for item in request.session.items:
        case = getattr(item, "callspec", None) and item.callspec.params.get("case")
        if isinstance(case, Case):
            shared.ask(case)
    yield shared
    shared.close()

"""Every ONNX node test case passes, or is refused with a reason and listed in exclusions.txt."""

from __future__ import annotations

import pytest

from conformance import exclusions
from conformance.judge import Outcome
from conformance.node_cases import all_cases

CASES = all_cases()
EXCLUDED = exclusions.read()
LEAST_PASSING = 1200


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case_passes_or_is_refused_as_listed(case, verdicts):
    judgement = verdicts.ask(case).result()
    if case.name in EXCLUDED:
        assert judgement.outcome is not Outcome.PASSED, f"passes, but exclusions.txt says: {EXCLUDED[case.name]}"
        assert judgement.outcome is Outcome.REFUSED, f"{judgement.outcome.value}: {judgement.detail}"
    else:
        assert judgement.outcome is Outcome.PASSED, f"{judgement.outcome.value}: {judgement.detail}"


def test_enough_cases_pass(verdicts):
    passed = sum(verdicts.ask(case).result().outcome is Outcome.PASSED for case in CASES)
    print(f"{passed} of {len(CASES)} cases pass, {len(EXCLUDED)} are excluded")
    assert passed >= LEAST_PASSING


def test_all_cases_of_the_standard_are_there():
    assert len(CASES) >= 1765


def test_exclusions_name_known_cases():
    unknown = sorted(set(EXCLUDED) - {case.name for case in CASES})
    assert not unknown, f"exclusions.txt names cases that do not exist: {unknown}"

"""When a state must not take the place of the old one."""

import sys
from collections.abc import Collection, Sequence

from pipeline.core.errors import PipelineError
from pipeline.review.verdict import LEVEL, SEEDS_COMMAND, Judgement, Verdict


def check_gates(gates: Collection[str], judgement: Judgement, stale: Sequence[str]) -> None:
    """Fail where one of the gates, `regression` or `stale`, is closed.

    Args:
        gates: those to check.
        judgement: of the new state.
        stale: in what its lock or metrics are not those of its params, code and data.

    Raises:
        PipelineError: with the reasons.
    """
    reasons = []
    if "stale" in gates and stale:
        reasons.append(f"stale: {stale[0]}")
    if "regression" in gates:
        if stale:
            reasons.append("regression: cannot be told, the metrics are not those of this state")
        elif judgement.verdict is Verdict.NOT_COMPARABLE:
            print(f"regression: cannot be told. {judgement.verdict.value}", file=sys.stderr)
        elif regression := find_regression(judgement):
            reasons.append(f"regression: {regression}")
    if reasons:
        raise PipelineError("\n".join(reasons))


def find_regression(judgement: Judgement) -> str:
    """Say why a state must not take the place of the old one; nothing where it may."""
    verdict, by_base = judgement.verdict, judgement.by_base
    if verdict in (Verdict.REAL_REGRESSION, Verdict.ONLY_MODEL_BETTER):
        return "the test accuracy is lower by more than seeds do"
    if verdict is Verdict.ONLY_MODEL_WORSE:
        return "the change is better over seeds, but this model is worse: take another seed"
    if verdict is Verdict.UNKNOWN_WORSE:
        return (
            "this model is worse, and whether another seed could do the same is not known; "
            f"`{SEEDS_COMMAND}` on the base tells"
        )
    if by_base and by_base.difference < 0 and by_base.p_value < LEVEL:
        return (
            "this run is lower than the seeds of the base allow; that the change spreads more is "
            "only what its own metrics/seeds.json says"
        )
    return ""

"""How a report fails."""

from pipeline.core.errors import PipelineError


class ReportError(PipelineError):
    """The states cannot be compared, which must never look like "no change"."""

    exit_code = 2

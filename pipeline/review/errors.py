"""How a report fails."""

from pipeline.errors import PipelineError


class ReportError(PipelineError):
    """The states cannot be compared, which must never look like "no change"."""

    exit_code = 2

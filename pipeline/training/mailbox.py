"""What workers send to the stage that has started them, wherever they run."""

import asyncio
from collections.abc import Mapping
from typing import Any

import ray
from ray.train import UserCallback

from pipeline.training.checkpoint import Arrays

END = ("end", None)  # the last message


class Mailbox:
    """Messages to the stage and the last state: an actor on the machine of the stage.

    What has come here is not lost with the machine of a worker.
    """

    def __init__(self, state: Arrays | None) -> None:
        self._state = state
        self._messages: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    async def put(self, kind: str, content: Any = None) -> None:  # noqa: ANN401
        """Take a message: the method of `Follower` that it is for, and its argument."""
        if kind == "save":
            self._state = content
        await self._messages.put((kind, content))

    async def take(self) -> tuple[str, Any]:
        """Return the next message, once it has come."""
        return await self._messages.get()

    async def state(self) -> Arrays | None:
        """Return what was saved last, from which workers resume."""
        return self._state


class Terminal:
    """Standard error of a worker whose progress the terminal of the stage shows."""

    def __init__(self, mailbox: Any) -> None:  # noqa: ANN401
        self._mailbox = mailbox

    def write(self, text: str) -> None:
        """Send a line that overwrites the last one; what else comes here is TensorFlow's log."""
        if text.startswith("\r"):
            self._mailbox.put.remote("show", text)

    def flush(self) -> None:
        """Do nothing, as nothing is buffered."""

    def isatty(self) -> bool:
        """Tell tqdm that it may overwrite its line."""
        return True


class WorkerFailures(UserCallback):  # type: ignore[misc]
    """Tell the stage which workers were lost."""

    def __init__(self, mailbox: Any) -> None:  # noqa: ANN401
        self._mailbox = mailbox

    def after_exception(
        self,
        run_context: object,  # noqa: ARG002, which Ray Train names
        worker_exceptions: Mapping[int, Exception],
    ) -> None:
        """Send what was raised."""
        texts = {rank: str(error).strip() for rank, error in worker_exceptions.items()}
        ray.get(self._mailbox.put.remote("lose", texts))

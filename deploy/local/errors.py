"""The one way in which a start fails: a line that says what is wrong and what to do."""

from collections.abc import Sequence


class StartError(Exception):
    """`line` is for the person at the terminal; `evidence` are log lines shown below it."""

    def __init__(self, line: str, evidence: Sequence[str] = ()) -> None:
        super().__init__(line)
        self.line = line
        self.evidence = evidence

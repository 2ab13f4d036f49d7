"""What is raised where a law does not hold."""

from __future__ import annotations


class Broken(AssertionError):
    """The law's short name (see docs/simulation.md), what was seen, and the tasks that it is about."""

    def __init__(self, law: str, text: str, *tasks: str) -> None:
        super().__init__(f"{law}: {text}")
        self.law = law
        self.tasks = tasks

"""The store's behaviour on one server, where one script reaches all."""

from tests.store import behaviour, behaviour_sessions


class TestCounting(behaviour.Counting):
    """Windows and distinct counts."""


class TestRepeats(behaviour.Repeats):
    """The same request again."""


class TestLearning(behaviour.Learning):
    """What becomes known, and what does not."""


class TestSessions(behaviour_sessions.Sessions):
    """Homes, hops and neighbours of sessions."""

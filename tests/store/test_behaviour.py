"""The store's behaviour on one server, where one script reaches all."""

from tests.store import (
    behaviour,
    behaviour_clients,
    behaviour_entries,
    behaviour_reports,
    behaviour_sessions,
    behaviour_velocities,
)


class TestCounting(behaviour.Counting):
    """Windows and distinct counts."""


class TestRepeats(behaviour.Repeats):
    """The same request again."""


class TestLearning(behaviour.Learning):
    """What becomes known, and what does not."""


class TestClients(behaviour_clients.Clients):
    """Clients at any version, systems and kinds of device."""


class TestSessions(behaviour_sessions.Sessions):
    """Homes, hops and neighbours of sessions."""


class TestReports(behaviour_reports.Reports):
    """A report stands, is set aside, is answered."""


class TestVelocities(behaviour_velocities.Velocities):
    """Count, sum and distinct per entity and window."""


class TestEntries(behaviour_entries.ListEntries):
    """Lists in the store: changed all or none, followed change by change."""

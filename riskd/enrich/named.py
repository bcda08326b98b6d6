"""The named lists of a policy: what its own entries, their files and the store say of an attempt."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from riskd.enrich.entries import Presented
from riskd.enrich.held import Held, Mirror
from riskd.enrich.identity import Pseudonyms
from riskd.enrich.listed import Entries, compiled
from riskd.enrich.watched import Watched, followed
from riskd.errors import DataError
from riskd.facts import NOT_LISTED, ListFacts
from riskd.policy.entry import Hash
from riskd.policy.named import NamedList


class Source(Struct, frozen=True):
    """One list with all that it takes entries from."""

    name: str
    declared: NamedList
    inline: Entries
    file: Watched[Entries] | None
    held: Held | None
    """What the store holds of it; None for a list that takes nothing from there."""

    def names(self, presented: Presented, now: datetime) -> bool | None:
        """Whether the list names the attempt; None when what would tell is unknown."""
        today = now.date()
        said = [self.inline.names(presented, today)]
        if self.file is not None and self.file.value is not None:
            said.append(self.file.value.names(presented, today))
        if self.held is not None:
            said.append(self.held.names(presented, now.timestamp()))
        return True if True in said else None if None in said else False

    def counts(self) -> dict[str, int]:
        """Return the number of entries by where they stand: `policy`, `file`, `store`."""
        found = {"policy": self.inline.entries}
        if self.file is not None:
            found["file"] = 0 if self.file.value is None else self.file.value.entries
        if self.held is not None:
            found["store"] = len(self.held)
        return found


class NamedLists:
    """All named lists of a policy, and the exemptions of subjects."""

    def __init__(
        self,
        declared: Mapping[str, NamedList],
        folder: Path,
        keyed: Hash,
        mirror: Mirror | None = None,
        digests: Mapping[Path, str] | None = None,
        like: "NamedLists | None" = None,
    ) -> None:
        """Read all entries; raises DataError for what is wrong or missing. Files are named relative to `folder`.

        `digests` has the SHA-256 of each file that is to be used with this content only. What `like` has, which keys
        ids as these do, is not read again but shared: a file with the same digest is followed on as it is.
        Without a mirror, what the store holds is taken to be nothing: for a run that has no store to follow.
        """
        before = () if like is None else tuple(like.sources())
        inline = {(source.declared.of, source.declared.entries): source.inline for source in before}

        def entries_of(name: str, one: NamedList) -> Entries:
            known = inline.get((one.of, one.entries))
            return known or compiled(one.of, one.entries, f"lists.named.{name}.entries", keyed)

        def file_of(one: NamedList, path: Path) -> Watched[Entries]:
            digest = (digests or {}).get(path)
            open_files = (source.file for source in before if source.declared.of == one.of)
            return followed(path, digest, open_files) or _watched(one, path, keyed, digest)

        self._sources = [
            Source(
                name=name,
                declared=one,
                inline=entries_of(name, one),
                file=None if one.file is None else file_of(one, folder / one.file),
                held=mirror.list(name, one.of) if one.store and mirror is not None else None,
            )
            for name, one in declared.items()
        ]
        self._exemptions = None if mirror is None else mirror.exemptions
        self.of_subjects = any(source.declared.of == "subject" for source in self._sources)
        """They look at subjects: `Presented` needs one."""

    def __bool__(self) -> bool:
        """Whether there is any list."""
        return bool(self._sources)

    @property
    def unread(self) -> bool:
        """Whether the store holds entries of some list that nobody has read yet."""
        return any(source.held is not None and source.held.position is None for source in self._sources)

    def facts(self, presented: Presented, at: datetime, now: datetime | None = None) -> tuple[ListFacts, bool]:
        """Return what the lists say of an attempt, and whether all that the store holds of them is known.

        A deny list is asked as of `at`, when the attempt happened, an allow list as of `now`: what has lapsed since
        lifts nothing, however old the attempt is said to be.
        """
        now = now or at
        denied: list[str] = []
        allowed: list[str] = []
        unsaid = False
        for source in self._sources:
            said = source.names(presented, at if source.declared.kind == "deny" else now)
            if said:
                (denied if source.declared.kind == "deny" else allowed).append(source.name)
            elif said is None and source.declared.kind == "deny":
                unsaid = True
        known = not self.unread
        if not (denied or allowed or unsaid):
            return NOT_LISTED, known
        return ListFacts(denied=None if unsaid and not denied else tuple(denied), allowed=tuple(allowed)), known

    @property
    def any_exempt(self) -> bool:
        """Whether there is any exemption."""
        return bool(self._exemptions)

    def exempt(self, subject: str, now: datetime) -> dict[str, str]:
        """Return the codes that a subject, by its keyed hash, is exempt from, each with the exemption's id."""
        return self._exemptions.of(subject, now.timestamp()) if self._exemptions else {}

    def refresh(self) -> tuple[str, ...]:
        """Re-read files that changed; return one line per list whose present file is not in use. Reads files."""
        for source in self._sources:
            if source.file is not None:
                source.file.refresh()
        return tuple(source.file.problem for source in self._sources if source.file and source.file.problem)

    def sources(self) -> Iterator[Source]:
        """Yield the lists in the order of the policy."""
        yield from self._sources


def hashed_by(pseudonyms: Pseudonyms) -> Hash:
    """Return the keyed hash by which lists keep ids of subjects and devices."""
    return lambda of, text: pseudonyms.listed(text) if of == "subject" else pseudonyms.device(text)


def _watched(declared: NamedList, path: Path, keyed: Hash, digest: str | None) -> Watched[Entries]:
    def read(path: Path) -> Entries:
        try:
            with path.open(encoding="utf-8") as lines:
                return compiled(declared.of, lines, str(path), keyed)
        except UnicodeDecodeError:
            raise DataError(f"{path}: not a text file (UTF-8)") from None

    return Watched(path, read, required=True, digest=digest)


__all__ = ["NamedLists", "Source", "hashed_by"]

"""What the parent and its workers tell each other over the status socket, one word a line.

A worker first says `ready`, or `refused` and why. Later each side may say `look` (files may have changed) or `reload`
(read them anew, changed or not): the parent to its workers, a worker to the parent, which passes it on to the others.
"""

from typing import Final

READY: Final = b"ready\n"
REFUSED: Final = b"refused "
LOOK: Final = b"look\n"
RELOAD: Final = b"reload\n"

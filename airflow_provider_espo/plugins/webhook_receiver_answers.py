"""What the webhook receiver answers, chosen by what EspoCRM does with it.

EspoCRM takes 2xx and 3xx for done. It tries again, ten minutes later and four times in all, after 401, 403, 404, 405,
408, 500 and 503. It deletes the webhook after 410. After any other status it gives the changes up.
"""

from __future__ import annotations

from enum import Enum


class Answer(Enum):
    """A status and a text that says nothing of what came."""

    RECORDED = (200, "recorded")
    #: Something equal was recorded a short while ago. It is done, and EspoCRM must not send it again.
    REPEAT = (200, "repeat")
    #: No such webhook is known here, or the signature is missing or wrong. One answer for all of them, so that it does
    #: not tell which webhooks there are; and one that is tried again: the key may be on its way.
    NOT_SIGNED = (401, "not signed by a known webhook")
    #: No DAG names the asset. Tried again: it may be deployed a minute later.
    NO_ASSET = (404, "no such asset")
    #: The body did not come in time, or not to its end.
    CUT_OFF = (408, "the body did not arrive")
    #: The same body would be as big, or as wrong, the next time.
    TOO_BIG = (413, "too big")
    NOT_A_DELIVERY = (400, "not a list of changes")
    #: Nothing was recorded, for a reason on this side. Tried again.
    UNAVAILABLE = (503, "not recorded, try again")

    @property
    def status(self) -> int:
        """HTTP status."""
        return self.value[0]

    @property
    def text(self) -> str:
        """What is said in the body."""
        return self.value[1]

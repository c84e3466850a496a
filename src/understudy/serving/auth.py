"""Who may call: keys are compared by their SHA-256, in constant time; each may be held to tasks and a spend per day."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from understudy.serving.problems import RequestProblem
from understudy.serving.settings import KeySettings

__all__ = ["Keys"]


class Keys:
    """The keys of an operator's settings; without any, everybody who reaches the port is let in."""

    def __init__(self, keys: Sequence[KeySettings]) -> None:
        self._keys = tuple(keys)

    def check(self, authorization: str | None) -> KeySettings | None:
        """The key of an ``Authorization`` header; ``None`` where no keys are set.

        Raises
        ------
        RequestProblem
            401 without a known key.
        """
        if not self._keys:
            return None
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme.lower() == "bearer" and secret:
            digest = hashlib.sha256(secret.strip().encode("utf-8", "surrogateescape")).hexdigest()
            # Every key is compared, so that time tells nothing about which one was near.
            found = [key for key in self._keys if hmac.compare_digest(digest, key.sha256.lower())]
            if found:
                return found[0]
        raise RequestProblem(
            401, "invalid_api_key", "This server needs an API key: Authorization: Bearer ..."
        )

    def check_admin(self, authorization: str | None) -> None:
        """Let an operator in.

        Raises
        ------
        RequestProblem
            401 without a known key, 403 if it is not an operator's.
        """
        key = self.check(authorization)
        if key is not None and not key.is_admin:
            raise RequestProblem(403, "not_admin", "This key may not change what is served.")

    @staticmethod
    def check_task(key: KeySettings | None, task: str | None) -> None:
        """Hold a key to its tasks.

        Raises
        ------
        RequestProblem
            403 for another task, or for passing through with a key that is held to tasks.
        """
        if key is not None and key.tasks and task not in key.tasks:
            raise RequestProblem(403, "task_not_allowed", "This key may not be used for this request.")

"""Errors as the OpenAI API shapes them: status, type, code and a message without any text of the request."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

__all__ = ["RequestProblem", "problem_response"]


class RequestProblem(Exception):  # noqa: N818  (a reply, not a failure of this program)
    """Something that the client is told about.

    Parameters
    ----------
    status
        HTTP status.
    code
        Short machine word, as the ledger and the client's ``error.code`` have it.
    message
        For people; must hold nothing of the request's text.
    retry_after_s
        Seconds after which to try again, where that helps.
    """

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: float | None = None) -> None:
        self.status, self.code, self.message, self.retry_after_s = status, code, message, retry_after_s
        self.is_told = False  # whether the call's row, and so its line in the log, tells it already
        super().__init__(message)

    @property
    def kind(self) -> str:
        """OpenAI's ``error.type``."""
        if self.status in (401, 403):
            return "authentication_error"
        if self.status == 429:
            return "rate_limit_error"
        return "invalid_request_error" if self.status < 500 else "server_error"

    def as_json(self) -> dict[str, Any]:
        """OpenAI's shape of an error."""
        body = {"message": self.message, "type": self.kind, "param": None, "code": self.code}
        return {"error": body}


def problem_response(problem: RequestProblem) -> JSONResponse:
    """The reply."""
    headers = (
        {} if problem.retry_after_s is None else {"retry-after": str(max(1, round(problem.retry_after_s)))}
    )
    return JSONResponse(problem.as_json(), status_code=problem.status, headers=headers)

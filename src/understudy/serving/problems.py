"""Errors as the OpenAI API shapes them: status, type, code and a message without any text of the request."""

from __future__ import annotations

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
        super().__init__(message)

    @property
    def kind(self) -> str:
        """OpenAI's ``error.type``."""
        if self.status in (401, 403):
            return "authentication_error"
        if self.status == 429:
            return "rate_limit_error"
        return "invalid_request_error" if self.status < 500 else "server_error"


def problem_response(problem: RequestProblem) -> JSONResponse:
    """The reply."""
    body = {"message": problem.message, "type": problem.kind, "param": None, "code": problem.code}
    headers = (
        {} if problem.retry_after_s is None else {"retry-after": str(max(1, round(problem.retry_after_s)))}
    )
    return JSONResponse({"error": body}, status_code=problem.status, headers=headers)

"""What every route needs: the running service, and the sender of the request."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from lesionlens.serving.access import Caller
from lesionlens.serving.identifiers import is_identifier
from lesionlens.serving.problems import Problem
from lesionlens.serving.service import Service

TOKEN = HTTPBearer(scheme_name="token", description="Not needed on loopback.", auto_error=False)


def service_of(request: Request) -> Service:
    """The running service."""
    service: Service = request.app.state.service
    return service


async def caller_of(request: Request, _token: Annotated[HTTPAuthorizationCredentials | None, Depends(TOKEN)]) -> Caller:
    """The sender of a request; refused before its parameters are checked if the token is not valid."""
    return service_of(request).caller(request)


def checked_id(id_: str) -> str:
    """The id of a prediction from an address.

    Raises:
        Problem: `prediction_not_found`, if it cannot be one.
    """
    if not is_identifier(id_):
        raise Problem("prediction_not_found", "there is no prediction with that id")
    return id_


def visible_to(caller: Caller) -> str | None:
    """Whose predictions a caller may see: the name of a token; None: everybody's."""
    return None if caller.may_review else caller.name


From = Annotated[Caller, Depends(caller_of)]

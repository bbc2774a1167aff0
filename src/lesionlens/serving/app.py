"""The application: bundle, API, page and record in one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from lesionlens import __version__
from lesionlens.serving.boundary import Boundary
from lesionlens.serving.openapi import openapi
from lesionlens.serving.page_files import page_files
from lesionlens.serving.problems import Problem
from lesionlens.serving.routes import router, validation_detail
from lesionlens.serving.service import Service
from lesionlens.serving.settings import ServingSettings

HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}
HTTP_DETAILS = {
    404: "there is nothing at this address; GET /openapi.json says what there is",
    405: "the Allow header names the methods that this address knows",
}


def create_app(settings: ServingSettings) -> FastAPI:
    """Open bundle and record and make the application, as `app.state.service`; its lifespan closes them.

    Raises:
        LesionLensError: if the bundle, the record or the tokens cannot be used.
    """
    app = FastAPI(
        title="LesionLens",
        version=__version__,
        docs_url=None,  # FastAPI's pages load scripts from other sites
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    service = Service(settings)
    app.state.service = service
    app.state.page = page_files()
    app.include_router(router)
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]  # the way FastAPI's reference shows
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _validation_problem)
    app.add_middleware(Boundary, service=service, router=router)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.service.close()


def _http_problem(request: Request, error: Exception) -> NoReturn:
    """What the router refuses, as a problem; the boundary answers it."""
    assert isinstance(error, HTTPException)
    code = HTTP_CODES.get(error.status_code, "malformed_request")
    raise Problem(code, HTTP_DETAILS.get(error.status_code, "the request is not valid"), error.headers) from error


def _validation_problem(request: Request, error: Exception) -> NoReturn:
    assert isinstance(error, RequestValidationError)
    raise Problem("invalid_parameter", validation_detail(error.errors())) from error

"""The application: bundle, API, page and prediction log in one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from lesionlens import __version__
from lesionlens.serving.boundary import Boundary, allowed_methods
from lesionlens.serving.json_bodies import validation_detail
from lesionlens.serving.openapi import DESCRIPTION, Api
from lesionlens.serving.page_files import page_files
from lesionlens.serving.problems import NO_ADDRESS, Problem
from lesionlens.serving.routes import router
from lesionlens.serving.service import Service
from lesionlens.serving.settings import ServingSettings

ROUTING_PROBLEMS = {
    404: ("not_found", NO_ADDRESS),
    405: ("method_not_allowed", "the Allow header names the methods of this address"),
}


def create_app(settings: ServingSettings) -> Api:
    """Open bundle and log and create the application, with the service as `app.state.service`; its lifespan closes them.

    Raises:
        LesionLensError: if the bundle, the log or the tokens cannot be used.
    """
    service = Service(settings)
    app = create_api(lifespan=_lifespan)
    app.state.service = service
    app.state.page = page_files(language=settings.language)
    app.add_exception_handler(HTTPException, _routing_problem)
    app.add_exception_handler(RequestValidationError, _validation_problem)
    app.add_middleware(Boundary, service=service, router=router)
    return app


def create_api(**options: Any) -> Api:
    """The routes and their description, without a bundle behind them."""
    api = Api(
        title="LesionLens",
        version=__version__,
        description=DESCRIPTION,
        contact={"name": "The operator of this server"},
        license_info={"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        docs_url=None,  # FastAPI's pages load scripts from other sites
        redoc_url=None,
        redirect_slashes=False,
        servers=[{"url": ".", "description": "Where this description was read, also below a path of a proxy."}],
        **options,
    )
    api.include_router(router)
    return api


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.service.exchange.start(asyncio.get_running_loop())
    dropping = asyncio.create_task(app.state.service.images.drop_old())
    yield
    dropping.cancel()
    await app.state.service.batches.finish()
    await asyncio.to_thread(app.state.service.exchange.close)  # its threads wait for this loop
    app.state.service.close()


def _routing_problem(request: Request, error: Exception) -> NoReturn:
    """An unknown address or method as a problem, to which the boundary responds."""
    assert isinstance(error, HTTPException)
    headers = {"Allow": allowed_methods(router, request.scope)} if error.status_code == 405 else None  # of every route there
    raise Problem(*ROUTING_PROBLEMS[error.status_code], headers) from error


def _validation_problem(request: Request, error: Exception) -> NoReturn:
    assert isinstance(error, RequestValidationError)
    raise Problem("invalid_parameter", validation_detail(error.errors())) from error

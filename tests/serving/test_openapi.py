import pytest
from fastapi import FastAPI

from lesionlens.serving import examples, schemas
from lesionlens.serving.openapi import openapi
from lesionlens.serving.problems import KINDS
from lesionlens.serving.routes import router


@pytest.fixture(scope="module")
def description():
    app = FastAPI(title="LesionLens", version="1")
    app.include_router(router)
    return openapi(app)


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (schemas.Prediction, examples.ANSWER),
        (schemas.Prediction, examples.UNUSABLE),
        (schemas.Page, examples.PAGE),
        (schemas.Review, examples.REVIEW),
        (schemas.ReviewIn, examples.REVIEW_IN),
        (schemas.ModelFacts, examples.MODEL),
    ],
)
def test_examples_are_what_they_are_examples_of(model, example):
    model.model_validate(example, strict=True)


def test_every_operation_has_examples_of_success_and_of_every_refusal(description):
    assert description["openapi"] == "3.1.0"
    told = set()
    for methods in description["paths"].values():
        for operation in methods.values():
            assert operation["summary"]
            for status, response in operation["responses"].items():
                for media_type, content in response["content"].items():
                    if media_type == "application/problem+json":
                        assert content["examples"]
                        for code, example in content["examples"].items():
                            schemas.ProblemDetails.model_validate(example["value"])
                            assert KINDS[code].status == int(status) == example["value"]["status"]
                            told.add(code)
                    elif media_type not in ("image/png", "text/plain; version=0.0.4; charset=utf-8"):
                        assert content.get("examples") or content.get("example")
    untold = {"not_found", "method_not_allowed"}  # of addresses and methods that are not described
    assert told == set(KINDS) - untold


def test_bodies_are_described(description):
    upload = description["paths"]["/v1/predictions"]["post"]["requestBody"]["content"]
    assert {"multipart/form-data", "image/jpeg", "image/png", "image/webp", "image/tiff", "application/dicom"} <= set(upload)
    review = description["paths"]["/v1/predictions/{id}/review"]["post"]["requestBody"]["content"]
    assert review["application/json"]["schema"]["$ref"] in {
        f"#/components/schemas/{name}" for name in description["components"]["schemas"]
    }

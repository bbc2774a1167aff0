import pytest

from lesionlens.serving import (
    case_examples,
    case_schemas,
    examples,
    schemas,
    similar_routes,
    similar_schemas,
    worklist_examples,
    worklist_schemas,
)
from lesionlens.serving.app import create_api
from lesionlens.serving.exchange_routes import DeliveryPage
from lesionlens.serving.problems import KINDS
from lesionlens.serving.shadow_routes import ShadowComparison


@pytest.fixture(scope="module")
def description():
    return create_api().openapi()


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (schemas.Prediction, examples.PREDICTION),
        (schemas.Prediction, examples.UNUSABLE),
        (schemas.PredictionPage, examples.PAGE),
        (schemas.Review, examples.REVIEW),
        (schemas.ReviewIn, examples.REVIEW_IN),
        (schemas.HeatMap, examples.HEAT_MAP),
        (schemas.Batch, examples.BATCH),
        (schemas.ModelInfo, examples.MODEL),
        (DeliveryPage, examples.DELIVERIES),
        (ShadowComparison, examples.COMPARISON),
        (case_schemas.CasePage, case_examples.CASES),
        (case_schemas.Case, case_examples.CASE),
        (case_schemas.Lesion, case_examples.LESION),
        (case_schemas.HistologyIn, case_examples.HISTOLOGY_IN),
        (case_schemas.SubjectIn, case_examples.SUBJECT),
        (case_schemas.Deleted, case_examples.DELETED),
        (worklist_schemas.Worklist, worklist_examples.WORKLIST),
        (worklist_schemas.ClinicStatistics, worklist_examples.STATISTICS),
        (worklist_schemas.Comparison, worklist_examples.COMPARISON),
        (similar_schemas.Similar, similar_routes.SIMILAR),
        (similar_schemas.LabelNext, similar_routes.TO_LABEL),
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
                    elif media_type not in ("image/png", "application/dicom"):
                        assert content.get("examples") or content.get("example")
    untold = {"method_not_allowed"}  # of methods that are not described
    assert told == set(KINDS) - untold


def test_every_example_of_json_fits_its_schema(description):
    """What redocly and spectral look for; FastAPI leaves the nulls out of examples."""
    jsonschema_rs = pytest.importorskip("jsonschema_rs")
    n_checked = 0
    for methods in description["paths"].values():
        for response in (response for operation in methods.values() for response in operation["responses"].values()):
            for media_type in ("application/json", "application/problem+json"):
                content = response["content"].get(media_type, {"schema": {}, "examples": {}})
                schema = {**content["schema"], "components": description["components"]}
                for name, example in content["examples"].items():
                    errors = jsonschema_rs.validator_for(schema).iter_errors(example["value"])
                    assert [str(error) for error in errors] == [], name
                    n_checked += 1
    assert n_checked > 100


def test_linters_find_what_they_ask_for(description):
    assert description["info"]["contact"]
    assert description["info"]["license"]["identifier"] == "Apache-2.0"
    known = {tag["name"] for tag in description["tags"]}
    for path, methods in description["paths"].items():
        for operation in methods.values():
            assert set(operation["tags"]) <= known, path
            assert len(operation["tags"]) == 1


def test_bodies_are_described(description):
    upload = description["paths"]["/v1/predictions"]["post"]["requestBody"]["content"]
    assert {"multipart/form-data", "image/jpeg", "image/png", "image/webp", "image/tiff", "application/dicom"} <= set(upload)
    review = description["paths"]["/v1/predictions/{id}/review"]["post"]["requestBody"]["content"]
    assert review["application/json"]["schema"]["$ref"] in {
        f"#/components/schemas/{name}" for name in description["components"]["schemas"]
    }


def test_every_success_has_its_response_model(description):
    models = {
        "post /v1/predictions": "Prediction",
        "get /v1/predictions": "PredictionPage",
        "get /v1/predictions/{id}": "Prediction",
        "get /v1/predictions/{id}/maps/{code}.json": "HeatMap",
        "post /v1/predictions/{id}/review": "Review",
        "get /v1/cases": "CasePage",
        "get /v1/cases/{case}": "Case",
        "get /v1/lesions/{case}/{lesion}": "Lesion",
        "post /v1/lesions/{case}/{lesion}/histology": "Histology",
        "get /v1/worklist": "Worklist",
        "get /v1/predictions/{id}/similar": "Similar",
        "get /v1/label-next": "LabelNext",
        "get /v1/statistics": "ClinicStatistics",
        "get /v1/comparison": "Comparison",
        "put /v1/predictions/{id}/subject": "Prediction",
        "delete /v1/predictions/{id}": "Deleted",
        "post /v1/batches": "Batch",
        "get /v1/batches/{id}": "Batch",
        "get /v1/deliveries": "DeliveryPage",
        "get /v1/shadow": "ShadowComparison",
        "get /v1/model": "ModelInfo",
        "get /healthz": "Health",
        "get /readyz": "Health",
    }
    told = {}
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            (success,) = (response for status, response in operation["responses"].items() if status < "300")
            if "application/json" in success["content"]:
                told[f"{method} {path}"] = success["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert told == models
    assert set(models.values()) <= set(description["components"]["schemas"])


def test_tokens_are_optional_where_they_are_asked_for(description):
    secured = {
        f"{method} {path}": operation.get("security")
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    }
    open_to_all = {"get /healthz", "get /readyz"}
    assert {name for name, security in secured.items() if security == []} == open_to_all
    assert all(security == [{}, {"token": []}] for name, security in secured.items() if name not in open_to_all)
    assert description["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_addresses_are_relative_to_the_description(description):
    assert [server["url"] for server in description["servers"]] == ["."]

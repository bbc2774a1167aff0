"""Random requests made from the API's own description, bounded: no 500, and nothing that the description does not say."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

pytestmark = pytest.mark.slow

EXAMPLES = 60
CHECKS = (
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
    checks.negative_data_rejection,
)
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def description(server):
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


@pytest.fixture(scope="module")
def known(server, lesion_image):
    return server.predict(lesion_image(1)).json()


OPERATIONS = (
    *("POST /v1/predictions", "GET /v1/predictions", "GET /v1/predictions/{id}", "POST /v1/predictions/{id}/review"),
    *("GET /v1/predictions/{id}/maps/{code}.png", "GET /v1/predictions/{id}/maps/{code}.json"),
    *("POST /v1/batches", "GET /v1/batches/{id}", "GET /v1/batches/{id}/events", "GET /v1/predictions/{id}/image.png"),
    *("GET /v1/predictions/{id}/sr.dcm", "GET /v1/predictions/{id}/sc.dcm", "GET /v1/predictions/{id}/fhir"),
    *("GET /v1/deliveries", "GET /v1/shadow"),
    *("GET /v1/model", "GET /healthz", "GET /readyz", "GET /metrics"),
)

RESTRICTED = (
    OPERATIONS[0],
    OPERATIONS[1],
    OPERATIONS[3],
    OPERATIONS[4],
    "GET /v1/deliveries",
)  # others take nothing, or any text


def test_the_list_of_operations_is_whole(description):
    assert {found.ok().label for found in description.get_all_operations()} == set(OPERATIONS)


def operation_of(description, label):
    method, path = label.split()
    return description[path][method]


@pytest.mark.parametrize(
    ("label", "mode"),
    [*((label, GenerationMode.POSITIVE) for label in OPERATIONS), *((label, GenerationMode.NEGATIVE) for label in RESTRICTED)],
)
def test_every_operation(description, label, mode):
    operation = operation_of(description, label)

    @SETTINGS
    @given(case=operation.as_strategy(generation_mode=mode))
    def fuzz(case):
        case.call_and_validate(checks=list(CHECKS))

    fuzz()


@pytest.mark.parametrize("label", [label for label in OPERATIONS if "{id}" in label])
def test_every_operation_on_an_answer_that_is_there(description, known, label):
    @SETTINGS
    @given(case=operation_of(description, label).as_strategy())
    def fuzz(case):
        case.path_parameters["id"] = known["id"]
        if "code" in case.path_parameters:
            case.path_parameters["code"] = known["maps"]["codes"][0]
        case.call_and_validate(checks=list(CHECKS[:5]))

    fuzz()


def test_the_server_has_met_no_fault(server):
    log = server.log.read_text()
    assert "internal_error" not in log
    assert "Traceback" not in log

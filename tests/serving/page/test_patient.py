"""The patient's fields of the page: there only where the model takes them, sent, shown, printed and forgotten."""

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def patient_page(driver, start_server, metadata_bundle, new_page):
    server = start_server(bundle=metadata_bundle)
    page = new_page(server.url + "/")
    page.find("#server-state[data-state=ready]")
    yield page
    assert page.complaints() == []
    assert page.strangers() == []
    server.stop()


def test_a_patient_is_sent_shown_and_printed(patient_page, images):
    page = patient_page
    assert {element.get_attribute("name") for element in page.visible("#patient [name]")} == {"age", "sex"}
    page.find("#patient [name=age]").send_keys("55")
    page.shown(images[0])
    assert page.text("#detail .outcome-patient") == "Patient: age 55. Not given: sex."
    told = "Patient: age 55. Not given: sex."  # the report waits for its pictures
    page.until(lambda: told in page.js("return document.getElementById('report').textContent"))
    answer = page.js("return fetch('v1/predictions?limit=1').then((response) => response.json())")["items"][0]
    assert answer["metadata"] == {"used": {"age": 55}, "missing": ["sex"]}
    page.find("#patient-clear").click()
    page.upload(images[1])
    page.answered(2)
    page.js("document.querySelectorAll('.row-open')[1].click()")
    page.until(lambda: page.text("#detail .outcome-patient") == "Nothing was known of the patient. Not given: age, sex.")


def test_clearing_the_list_forgets_the_patient(patient_page, images):
    page = patient_page
    page.find("#patient [name=age]").send_keys("55")
    page.shown(images[0])
    page.find("#clear").click()
    assert page.js("return document.querySelector('#patient [name=age]').value") == ""


def test_a_value_that_is_refused_is_said(patient_page, images):
    page = patient_page
    page.expected.append("422")
    page.find("#patient [name=age]").send_keys("500")
    page.upload(images[0])
    assert "it must be years from 0 to 120" in page.text("#detail .problem")


def test_a_model_of_images_alone_asks_nothing(page, images):
    assert page.visible("#patient") == []
    page.shown(images[0])
    assert page.visible(".outcome-patient") == []

from lesionlens.bundle.card_sections import training, training_text

TIME = {"epochs": 12, "epoch": 9, "seconds": 7200.0}


def test_time_and_energy_of_the_training():
    assert training_text(TIME) == (
        "12 epochs in 2.0 hours, validation included; the weights are of epoch 9. Energy: not measured."
    )
    stated = {**TIME, "watts": 150.0, "kwh": 0.3, "grams_co2": None}
    assert "about 0.30 kWh, an estimate: 150 W as stated by the user, times that time." in training_text(stated)
    assert training_text({**stated, "grams_co2": 120.0, "grams_co2_per_kwh": 400.0}).endswith(
        "About 120 g CO2 at the stated 400 g/kWh."
    )


def test_short_trainings_have_a_short_unit():
    assert training_text({**TIME, "seconds": 89}).startswith("12 epochs in 89 seconds")
    assert training_text({**TIME, "seconds": 90}).startswith("12 epochs in 2 minutes")


def test_bundles_that_do_not_know_their_training():
    assert training({}) == training({"training": None}) == ""
    assert training({"training": TIME}).startswith("## Training\n12 epochs")

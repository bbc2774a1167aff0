from lesionlens.reporting.documents.numbers import metric_number, plain, share


def test_a_number_has_its_interval_its_counts_or_its_reason():
    assert share({"value": 0.123, "low": 0.1, "high": 0.2}) == "12.3 % (10.0 to 20.0)"
    assert share({"value": 0.5, "low": None, "high": 0.2, "count": 1, "of": 2}) == "50.0 % (1 of 2, no interval)"
    assert share({"value": 0.5}) == "50.0 % (no interval)"
    assert plain({"value": None, "reason": "3 lesions"}) == "undefined (3 lesions)"
    assert plain({"value": None}) == "undefined"


def test_auc_is_plain_and_shares_are_per_cent():
    metric = {"value": 0.912, "low": 0.9, "high": 0.95}
    assert metric_number("auc_malignant", metric) == "0.912 (0.900 to 0.950)"
    assert metric_number("macro_auc", metric).startswith("0.912")
    assert metric_number("recall", metric) == "91.2 % (90.0 to 95.0)"

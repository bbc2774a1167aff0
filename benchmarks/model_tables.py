"""Tables of docs/model.md: what the trained model reaches, what was tried, and another data set."""

from __future__ import annotations

from markdown_tables import interval, read, table

AIMS = {"balanced_accuracy": ">= 0.78", "macro_f1": ">= 0.76", "macro_auc": ">= 0.970", "ece": "<= 0.03", "accuracy": ""}
NAMES = {
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "macro_auc": "macro AUC",
    "ece": "ECE, debiased",
    "accuracy": "accuracy",
    "nll": "NLL",
}


def model_test() -> str:
    """The test split: float network with the bundle's temperature, and int8 on both runtimes."""
    content = read("model/compression.json")
    rows = {f"{row['variant']}, {row['runtime']}": row["metrics"] for row in content["rows"] if row["runtime"] != "pytorch"}
    head = ["metric", "aim", *rows]
    body = [[NAMES[name], aim, *(interval(metrics[name]) for metrics in rows.values())] for name, aim in AIMS.items()]
    return table(head, body)


def model_levers() -> str:
    """What was tried on the validation split."""
    content = read("model/levers.json")
    names = ("balanced_accuracy", "macro_f1", "macro_auc", "ece", "nll")
    rows = [[row["lever"], *("" if row[name] is None else f"{row[name]:.3f}" for name in names)] for row in content["rows"]]
    return table([content["split"], *(NAMES[name] for name in names)], rows)


def model_sources() -> str:
    """The own test split beside ISIC 2017."""
    content = read("model/isic2017.json")
    sets = {"HAM10000, test split": content["internal"]["figures"], "ISIC 2017": content["key_figures"]["image"]["figures"]}
    names = [name for name in sets["ISIC 2017"] if name in sets["HAM10000, test split"]]
    rows = [[name.replace("_", " "), *(interval(figures[name]) for figures in sets.values())] for name in names]
    conformal = [
        [
            f"conformal sets, {row['score']}, {row['group']}: coverage of {row['coverage']:.0%} promised",
            *(interval(row[place]["coverage"]) for place in ("test", "external")),
        ]
        for row in content["conformal"]["sets"]
    ]
    flow = content["flow"]
    return (
        f"{table(['95 % intervals by lesion', *sets], [*rows, *conformal])}\n\n"
        f"Of {flow['index']} images of ISIC 2017 the gate refuses {flow['refused']}, {flow['not_sure']} are not sure and "
        f"{flow['diagnosed']} get a diagnosis."
    )


TABLES = {"model-test": model_test, "model-levers": model_levers, "model-sources": model_sources}

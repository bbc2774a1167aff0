"""Answers on the network: what it is, how it was trained and chosen, what it gives, and how to run it."""

from __future__ import annotations

from lesionlens import __version__
from lesionlens.bundle.card_sections import training_text
from lesionlens.export.provenance import is_unstated
from lesionlens.reporting.documents.answers import Answer, Provider, guarded, lacking, words
from lesionlens.reporting.documents.facts import RunFacts
from lesionlens.reporting.documents.numbers import stated_share
from lesionlens.reporting.formats import percent

NO_CHECKPOINT = "the run has no train/best.safetensors; make it with: lesionlens train RECIPE"
NO_VERSIONS = "train/best.safetensors does not record them"
WEIGHTS = {"imagenet": "weights trained on ImageNet, of timm's hub", "none": "random weights"}


def technology(facts: RunFacts) -> Answer:
    """The category of the method."""
    return Answer(
        f"Deep learning: the network {facts.run.recipe.model.name} classifies one dermoscopic image into "
        f"{len(facts.run.labels)} diagnoses ({', '.join(facts.run.labels.names)}).",
        "recipe.toml",
    )


def model(facts: RunFacts) -> Answer:
    """Architecture, input and output."""
    recipe, spec = facts.run.recipe, facts.card["input"]
    weights = "" if facts.parameters is None else f", {facts.parameters:,} trained weights"
    missing = "" if facts.parameters is not None else f"number of weights: {NO_CHECKPOINT}"
    return Answer(
        f"{recipe.model.name} as timm defines it{weights}; input: one image of {spec['size']}x{spec['size']} pixels; "
        f"output: a logit "
        f"for each diagnosis. Dropout {recipe.model.drop_rate:g}, stochastic depth {recipe.model.drop_path_rate:g}.",
        "recipe.toml, train/best.safetensors" if facts.parameters is not None else "recipe.toml",
        missing,
    )


def software(facts: RunFacts) -> Answer:
    """Libraries and their versions."""
    versions = facts.card["versions"]["training"]
    if not versions:
        return Answer(missing=f"versions of the libraries: {NO_VERSIONS if facts.run.checkpoint else NO_CHECKPOINT}")
    return Answer(
        "Trained with " + ", ".join(f"{name} {value}" for name, value in versions.items()) + ".", "train/best.safetensors"
    )


def initial_weights(facts: RunFacts) -> Answer:
    """What the training started from."""
    weights = facts.card["origin"]["recipe"]["model"]["weights"]
    return Answer(f"Training started from {WEIGHTS.get(weights, f'the weights in {weights}')}.", "recipe.toml")


def training(facts: RunFacts) -> Answer:
    """Optimizer, schedule, loss and augmentation."""
    recipe, augmentation = facts.run.recipe.training, facts.run.recipe.augmentation
    average = f", weights averaged (decay {recipe.ema_decay:g})" if recipe.ema_decay else ""
    return Answer(
        f"{recipe.optimizer}, {recipe.epochs} epochs planned, batches of {recipe.batch_size}, peak learning rate "
        f"{recipe.learning_rate:g} "
        f"({recipe.schedule}, {recipe.warmup_epochs:g} epochs of warm-up), weight decay {recipe.weight_decay:g}, loss "
        f"{recipe.loss} with "
        f"label smoothing {recipe.label_smoothing:g}{average}, seed {facts.run.recipe.seed}. Augmentation: offline copies up to "
        f"{stated_share(augmentation.offline_fill)} of the largest diagnosis, MixUp with probability "
        f"{augmentation.mixup_p:g}, CutMix with "
        f"{augmentation.cutmix_p:g}. Every key of the recipe is in documents.json.",
        "recipe.toml",
    )


def duration(facts: RunFacts) -> Answer:
    """Time and energy of the training."""
    known = facts.card["training"]
    if known is None:
        return lacking(facts, "training", "time of the training")
    return Answer(
        training_text(known), "train/history.jsonl" + (", " + facts.stated.name if known.get("kwh") and facts.stated.name else "")
    )


def selection(facts: RunFacts) -> Answer:
    """How the final network was selected."""
    epoch = facts.card["origin"]["epoch"]
    which = "" if epoch is None else f": epoch {epoch}"
    monitor = facts.run.recipe.training.monitor.replace("_", " ")
    return Answer(
        f"The epoch with the best {monitor} on the validation split was selected{which}. The test split takes no part in it.",
        "recipe.toml",
    )


def ensemble(facts: RunFacts) -> Answer:
    """One network or several, one view or several."""
    views = facts.run.scores["views"]
    seen = "one view of each image" if views == 1 else f"the mean of {views} flips and rotations of each image"
    return Answer(f"One network, no ensemble; predictions from {seen}.", "scores.json")


def output(facts: RunFacts) -> Answer:
    """What a prediction is, and how its thresholds were chosen."""
    card = facts.card
    text = f"A probability for each of {len(facts.run.labels)} diagnoses; the most probable one is the diagnosis."
    if not facts.exported:
        return Answer(text, "scores.json", lacking(facts, "bundle", "thresholds and calibration").missing)
    decision = card["decision"] or {"threshold": None, "reason": "exported without one", "watched": []}
    if decision["threshold"] is None:
        return Answer(f'{text} There is no answer "not sure" ({decision["reason"]}).', "bundle/bundle.json")
    return Answer(
        f"{text} An image whose diagnosis is not {words(decision['watched'])} but whose probability of it is "
        f"{decision['threshold']:.4f} "
        f'or more is "not sure": chosen on the {decision["validation"]["split"]} split for a sensitivity of at least '
        f"{stated_share(decision['sensitivity'])}, without the test split.",
        "bundle/bundle.json",
    )


def recalibration(facts: RunFacts) -> Answer:
    """What was changed in the probabilities after training."""
    if not facts.exported:
        return Answer(missing=lacking(facts, "bundle", "recalibration").missing)
    fitted = facts.card["temperature"]
    return Answer(
        f"One temperature, {fitted['value']:.4f}, fitted on {fitted['n_images']} images of the {fitted['fitted_on']} "
        f"split; ECE there "
        f"{fitted['ece_before']:.4f} before and {fitted['ece_after']:.4f} after.",
        "bundle/bundle.json",
    )


def calculation(facts: RunFacts) -> Answer:
    """How to calculate predictions for new people."""
    if not facts.exported:
        return Answer(
            "The checkpoint train/best.safetensors holds the network.",
            "train/best.safetensors",
            lacking(facts, "bundle", "bundle").missing,
        )
    return Answer(
        "The bundle holds the whole model as an ONNX graph with preprocessing, temperature and thresholds; "
        "`lesionlens predict`, `lesionlens serve` (a page and an API) and the Python class `lesionlens.Predictor` run it "
        "on a CPU.",
        "bundle/bundle.json",
    )


@guarded("explanation")
def explanation(facts: RunFacts) -> Answer:
    """How predictions are explained, and whether that was validated."""
    report = facts.run.explanation
    if report is None:
        return lacking(facts, "explanation", "heat maps and their faithfulness")
    text = f"{report['method']} on {report['n_images']} images of the {report['split']} split"
    localisation = report["localisation"]
    if localisation is not None:
        inside, chance = (localisation["metrics"][name]["value"] for name in ("energy_inside", "chance"))
        text += f"; {percent(inside)} of a map lies inside the lesion, whose mean share of the image is {percent(chance)}"
    checked = "compared with lesion masks and controls" if localisation is not None else "not compared with lesion masks"
    return Answer(f"Heat maps: {text} ({checked}).", "explain/faithfulness.json")


def bad_input(facts: RunFacts) -> Answer:
    """How images of poor quality are recognised and handled."""
    if not facts.exported:
        return lacking(facts, "bundle", "handling of poor images")
    gate = facts.card["gate"]
    if gate is None:
        return Answer("Images that cannot be decoded are refused; their quality is not checked.", "bundle/bundle.json")
    rejected = gate["validation"]
    return Answer(
        f'A gate refuses images that are too small, blurred, dark, bright or unlike the training images as "not usable", '
        f"with the "
        f"reason; it refused {rejected['rejected_by_any']} of {rejected['n_images']} images of the {rejected['split']} split.",
        "bundle/bundle.json",
    )


def expertise(facts: RunFacts) -> Answer:
    """Who uses it, and what they must do."""
    return Answer(
        "For people trained to read dermoscopic images. They give one image; nothing else is entered, and the prediction "
        "needs their judgement.",
        "bundle/bundle.json" if facts.exported else "recipe.toml",
    )


def intended_use(facts: RunFacts) -> Answer:
    """What it is for and not for."""
    use = facts.card["intended_use"]
    return Answer(
        f"For: {use['for']} Not for: {use['not_for']} {use['status']}", "bundle/bundle.json" if facts.exported else "recipe.toml"
    )


def availability(facts: RunFacts) -> Answer:
    """Licences of code and weights; that of the images has an answer of its own."""
    known, weights = facts.card["licences"], facts.run.recipe.model.name
    unstated = is_unstated(known["data"])
    trained = f"{weights}, trained on images whose licence is not stated" if unstated else known["weights"]
    return Answer(f"Code: lesionlens {__version__}, {known['code']}. Weights: {trained}.", "recipe.toml, index.csv")


def stored_outputs(facts: RunFacts) -> Answer:
    """Whether predictions are kept and can be audited."""
    return Answer(
        f"predictions.npz holds the logits of each scored image with its id, made from checkpoint "
        f"{facts.run.scores['made_from'].get('checkpoint', 'unknown')[:12]}; `lesionlens serve` keeps each prediction on "
        f"disk before it is sent.",
        "predictions.npz, scores.json",
    )


MODEL: dict[str, Provider] = {
    "technology": technology,
    "model": model,
    "software": software,
    "initial_weights": initial_weights,
    "training": training,
    "duration": duration,
    "selection": selection,
    "ensemble": ensemble,
    "output": output,
    "recalibration": recalibration,
    "calculation": calculation,
    "explanation": explanation,
    "bad_input": bad_input,
    "expertise": expertise,
    "intended_use": intended_use,
    "availability": availability,
    "stored_outputs": stored_outputs,
}

"""Where the artifacts of a run lie within its folder."""

INDEX, AUDIT, SPLIT, PLAN, STORE = "index.csv", "audit.json", "split.json", "plan.csv", "store"
BEST, PREDICTIONS, SCORES, REPORT, RECIPE = (
    "train/best.safetensors",
    "predictions.npz",
    "scores.json",
    "report.html",
    "recipe.toml",
)
IMAGES, GALLERY, EXPLAIN, BUNDLE, COMPRESS = "images", "gallery.png", "explain", "bundle", "compress"
EXAMPLE = "example/prediction.json"

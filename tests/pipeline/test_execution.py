import json
from dataclasses import replace
from pathlib import Path

import pytest

from lesionlens.core.artifact import hash_file, read_stamp, stamp_path, write_stamp
from lesionlens.core.errors import ArtifactError, RecipeError
from lesionlens.core.progress import Reporter
from lesionlens.core.recipe import Recipe
from lesionlens.core.run import Run
from lesionlens.pipeline.execution import Stage, execute, inputs_of, plan
from lesionlens.pipeline.job import ImageSource, Job, StageResult

NAMES = ("index", "audit", "split", "plan")  # any artifacts of a run, as files of text


def copy_stage(name: str, after: tuple[str, ...], text: str = "") -> Stage:
    """A stage that writes the texts of those before it, and the recipe's seed."""

    def make(job: Job) -> StageResult:
        before = "".join(getattr(job.run, other).read_text() for other in after)
        getattr(job.run, name).write_text(f"{before}{name}{text}{job.recipe.seed if not after else ''} ")
        return StageResult(f"made {name}", "", {})

    return Stage(name, name, after, lambda job: [job.recipe.seed, text] if not after else text, make)


STAGES = (
    *(copy_stage("index", ()), copy_stage("audit", ("index",)), copy_stage("split", ())),
    copy_stage("plan", ("audit", "split")),
)


def made(job: Job, stages=STAGES, **options) -> list[str]:
    return [step.name for step in execute(stages, job, plan(stages, job, **options)) if step.made]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(Run.at(tmp_path), Recipe(), ImageSource(None))


def test_the_first_time_makes_all_and_the_second_nothing(job):
    assert made(job) == list(NAMES)
    assert job.run.plan.read_text() == "index0 audit split0 plan "
    assert made(job) == []


def test_a_changed_setting_makes_its_stage_and_what_comes_after(job):
    made(job)
    stages = (*STAGES[:1], copy_stage("audit", ("index",), "!"), *STAGES[2:])
    assert made(job, stages) == ["audit", "plan"]
    assert made(job, stages) == []


def test_a_changed_recipe_reaches_only_the_stages_that_read_it(job):
    made(job)
    assert made(replace(job, recipe=Recipe(seed=1))) == list(NAMES)


def test_an_artifact_changed_or_deleted_by_hand_is_made_again(job):
    made(job)
    job.run.audit.write_text("other")
    assert made(job) == ["audit", "plan"]
    job.run.split.unlink()
    assert made(job) == ["split", "plan"]


def test_start_and_until(job):
    assert made(job, until="audit") == ["index", "audit"]
    with pytest.raises(ArtifactError, match="stage split in .* is not up to date; start from it: --from split"):
        plan(STAGES, job, start="plan")
    made(job)
    assert made(job, start="split") == ["split", "plan"]
    assert made(job, start="audit", until="split") == ["audit", "split"]


def test_skipped_stages_are_left_out(job):
    assert made(job, skip=("split",), until="split") == ["index", "audit"]
    assert not job.run.split.exists()
    with pytest.raises(RecipeError, match="unknown stage 'x'"):
        plan(STAGES, job, skip=("x",))


def test_a_failure_keeps_what_was_made_before(job):
    def fail(job: Job) -> StageResult:
        raise ArtifactError("no")

    stages = (*STAGES[:2], Stage("split", "split", (), lambda job: None, fail), STAGES[3])
    with pytest.raises(ArtifactError, match="^no$"):
        made(job, stages)
    assert [name for name in NAMES if stamp_path(getattr(job.run, name)).exists()] == ["index", "audit"]
    assert made(job) == ["split", "plan"]


def test_a_stage_that_writes_nothing_is_our_bug(job):
    with pytest.raises(ArtifactError, match="wrote no"):
        made(job, (Stage("index", "index", (), lambda job: None, lambda job: StageResult("", "", {})),))


def test_unknown_stages_and_stages_in_the_wrong_order(job):
    with pytest.raises(RecipeError, match="unknown stage 'x'; the pipeline has index, audit, split, plan"):
        plan(STAGES, job, start="x")
    with pytest.raises(RecipeError, match="comes after"):
        plan(STAGES, job, start="plan", until="index")


def test_what_the_writer_noted_beside_its_artifact_is_kept(job):
    def make(job: Job) -> StageResult:
        job.run.index.write_text("images")
        write_stamp(job.run.index, {}, {"root": "here"})
        return StageResult("", "", {})

    made(job, (Stage("index", "index", (), lambda job: None, make),))
    assert read_stamp(job.run.index)["facts"] == {"root": "here"}


def test_a_folder_is_stamped_beside_it_and_watched_by_one_file(job):
    def make(job: Job) -> StageResult:
        job.run.store.mkdir(exist_ok=True)
        (job.run.store / "store.json").write_text("1")
        return StageResult("", "", {})

    stages = (Stage("pack", "store/store.json", (), lambda job: None, make),)
    assert made(job, stages) == ["pack"]
    assert made(job, stages) == []
    (job.run.store / "store.json").write_text("2")
    assert made(job, stages) == ["pack"]


class TestOldRecord:
    """0.1.0 kept `road.json`."""

    def written(self, job: Job) -> Path:
        made(job)
        record = {
            name: {"inputs": inputs_of(stage, STAGES, job), "output": hash_file(getattr(job.run, name))}
            for name, stage in zip(NAMES, STAGES, strict=True)
        }
        for name in NAMES:
            stamp_path(getattr(job.run, name)).unlink()
        path = job.run.folder / "road.json"
        path.write_text(json.dumps(record))
        return path

    def test_it_is_read_once_and_said(self, job):
        path, notes = self.written(job), []
        assert made(replace(job, reporter=Reporter(notes.append))) == []
        assert not path.exists()
        assert len(notes) == 1
        assert "0.1.0" in notes[0]

    def test_what_changed_since_is_stale(self, job):
        self.written(job)
        job.run.audit.write_text("other")
        assert made(job) == ["audit", "plan"]

    def test_a_damaged_one_is_refused(self, job):
        (job.run.folder / "road.json").write_text('{"a": 1}')
        with pytest.raises(ArtifactError, match="not the record of a run"):
            plan(STAGES, job)

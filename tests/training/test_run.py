import csv
import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from filelock import FileLock
from interruptions import power_cut, same, sigterm, sigusr1, train_interrupted, weights
from tiny_model import TinyAutoencoder

from video_ae.errors import UserError
from video_ae.models.open import load_model
from video_ae.training.callbacks import STOPPING
from video_ae.training.config import parse_run
from video_ae.training.train import train


def test_a_run_leaves_everything_that_its_folder_promises(arguments):
    run = train(parse_run(arguments))
    assert {path.name for path in run.iterdir()} == {
        "config.yaml", "weights.safetensors", "model.yaml", "checkpoints", "pictures", "metrics", ".lock"
    }  # fmt: skip
    assert {path.name for path in (run / "pictures").iterdir()} == {"step_4.png", "step_8.png"}
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"last.ckpt", "previous.ckpt", "best.ckpt"}
    with open(run / "metrics" / "version_0" / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    assert {"train/loss", "train/l1", "train/edges", "train/psnr", "train/gradient_norm", "validation/psnr"} <= set(
        rows[0]
    )
    model = load_model(run)
    assert isinstance(model, TinyAutoencoder)
    assert not model.training


def living_models() -> int:
    gc.collect()
    return sum(type(one) is TinyAutoencoder for one in gc.get_objects())


@pytest.mark.parametrize("interrupt", [None, sigusr1, power_cut], ids=["end", "signal", "error"])
def test_a_training_leaves_nothing_in_its_process(arguments, interrupt):
    """Neither its handlers of signals, nor its model, which they would keep alive."""
    handlers, models = [signal.getsignal(number) for number in STOPPING], living_models()
    if interrupt is None:
        train(parse_run([*arguments, "--trainer.max_steps=2"]))
    else:
        train_interrupted(arguments, 2, interrupt)
    assert [signal.getsignal(number) for number in STOPPING] == handlers
    assert living_models() <= models


def test_config_of_a_run_is_complete_and_repeats_it(arguments, tmp_path):
    run = train(parse_run([*arguments, "--seed=3"]))
    values = yaml.safe_load((run / "config.yaml").read_text())
    assert values["seed"] == 3
    assert values["model"]["init_args"] == {"channels": 4, "noise": 0.05}
    assert "resume" not in values
    assert "overwrite" not in values
    again = train(parse_run(["--config", str(run / "config.yaml"), "--out", str(tmp_path / "again")]))
    assert same(weights(run), weights(again))


def test_seed_changes_the_weights(arguments, tmp_path):
    one = train(parse_run(arguments))
    other = train(parse_run([*arguments, "--seed=1", "--out", str(tmp_path / "other")]))
    assert not same(weights(one), weights(other))


@pytest.mark.parametrize("interrupt", [sigterm, sigusr1], ids=["SIGTERM", "SIGUSR1"])
def test_stopped_and_resumed_equals_uninterrupted(arguments, tmp_path, interrupt):
    whole = train(parse_run([*arguments, "--out", str(tmp_path / "whole")]))
    train_interrupted(arguments, 6, interrupt)
    run = tmp_path / "run"
    assert not same(weights(whole), weights(run))
    train(parse_run(["--resume", "--out", str(run)]))
    assert same(weights(whole), weights(run))


@pytest.mark.parametrize(("step", "validated"), [(6, False), (8, True)])
def test_a_stop_waits_for_a_validation_only_where_one_is_due(arguments, capfd, step, validated):
    training = train_interrupted([*arguments, "--trainer.max_steps=12"], step, sigterm)
    assert training[-1] is not validated
    assert "Stopping when this step is done" in capfd.readouterr().err


def test_clips_that_come_again_resume_exactly(arguments, tmp_path):
    common = [*arguments, "--data.reuse=3", "--data.augment=true"]
    whole = train(parse_run([*common, "--out", str(tmp_path / "whole")]))
    run = train(parse_run([*common, "--trainer.max_steps=5"]))
    assert not same(weights(whole), weights(run))
    train(parse_run(["--resume", "--out", str(run), "--trainer.max_steps=8"]))
    assert same(weights(whole), weights(run))


def test_a_step_of_two_batches_is_one_of_a_batch_twice_as_large(arguments, tmp_path):
    common = [*arguments, "--model.init_args.noise=0"]
    large = train(parse_run([*common, "--out", str(tmp_path / "large")]))
    run = train(parse_run([*common, "--data.batch_size=1", "--trainer.accumulate=2"]))
    assert {path.name for path in (run / "pictures").iterdir()} == {"step_4.png", "step_8.png"}
    for one, other in zip(weights(large).values(), weights(run).values(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("batch", [9, 10])
def test_a_stop_between_the_batches_of_a_step_waits_for_its_end(arguments, tmp_path, batch):
    common = [*arguments, "--trainer.accumulate=2"]
    whole = train(parse_run([*common, "--out", str(tmp_path / "whole")]))
    train_interrupted(common, batch, sigterm)
    run = tmp_path / "run"
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 5
    train(parse_run(["--resume", "--out", str(run)]))
    assert same(weights(whole), weights(run))


def test_killed_and_resumed_equals_uninterrupted(arguments, tmp_path):
    whole = train(parse_run([*arguments, "--out", str(tmp_path / "whole")]))
    train_interrupted(arguments, 8, power_cut)
    train(parse_run(["--resume", "--out", str(tmp_path / "run")]))  # from step 6, the last multiple of three
    assert same(weights(whole), weights(tmp_path / "run"))


def test_resume_may_train_longer(arguments, tmp_path):
    longer = train(parse_run([*arguments, "--trainer.max_steps=12", "--out", str(tmp_path / "longer")]))
    run = train(parse_run(arguments))
    train(parse_run(["--resume", "--out", str(run), "--trainer.max_steps=12"]))
    assert same(weights(longer), weights(run))


TASKS = {"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "video-ae", "SLURM_NTASKS": "4"}  # as `salloc -n 4` sets them


def test_a_single_process_trains_inside_a_job_of_several_tasks(arguments, monkeypatch):
    """Lightning 2.6.6 ends with a RuntimeError, as if srun had started four."""
    for name, value in TASKS.items():
        monkeypatch.setenv(name, value)
    assert (train(parse_run(arguments)) / "weights.safetensors").is_file()


def test_tasks_that_srun_started_and_lightning_refuses_are_one_sentence(arguments, monkeypatch):
    for name, value in {**TASKS, "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"settings do not work here: .*ntasks"):
        train(parse_run(arguments))


def test_folder_that_is_not_empty_is_refused_and_only_runs_are_replaced(arguments, tmp_path):
    run = train(parse_run(arguments))
    with pytest.raises(UserError, match="not empty"):
        train(parse_run(arguments))
    (run / "notes.txt").write_text("mine")
    train(parse_run([*arguments, "--overwrite"]))
    assert (run / "notes.txt").read_text() == "mine"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("")
    for content in (None, "lr: 0.1\n", "- 1\n", "a: [\n"):  # other programs have a config.yaml, too
        if content is not None:
            (tmp_path / "photos" / "config.yaml").write_text(content)
        with pytest.raises(UserError, match="something else"):
            train(parse_run([*arguments, "--overwrite", "--out", str(tmp_path / "photos")]))
    with pytest.raises(UserError, match="either resumed or replaced"):
        train(parse_run([*arguments, "--overwrite", "--resume"]))


def test_folder_that_another_training_writes_into_is_refused(arguments):
    run = train(parse_run(arguments))
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    with FileLock(run / ".lock"):
        for mode in ("--overwrite", "--resume"):
            with pytest.raises(UserError, match="Another training"):
                train(parse_run([*arguments, mode]))
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before
    train(parse_run([*arguments, "--overwrite"]))


def test_nothing_is_written_for_data_that_is_not_there(arguments, tmp_path):
    with pytest.raises(UserError):
        train(parse_run([*arguments, "--data.root", str(tmp_path / "nowhere")]))
    assert not (tmp_path / "run").exists()


def test_wandb_offline_keeps_its_files_in_the_run(arguments, monkeypatch):
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = train(parse_run([*arguments, "--wandb", "offline", "--trainer.max_steps=4"]))
    assert list((run / "wandb").glob("offline-run-*"))


def test_wandb_online_without_a_key_is_one_sentence(arguments, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    with pytest.raises(UserError, match="needs a key"):
        train(parse_run([*arguments, "--wandb", "online"]))
    assert not (tmp_path / "run").exists()


def test_two_devices_see_what_one_with_twice_the_batch_sees(arguments, tmp_path):
    """Data parallel over two processes: the same samples, hence (without noise) the same weights up to rounding."""
    common = [*arguments, "--model.noise=0", "--optimizer.skip_norm=null"]
    one = train(parse_run([*common, "--data.batch_size=4"]))
    two = tmp_path / "two"
    command = [sys.executable, "-m", "video_ae", "train", *common, "--out", str(two)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [*command, "--trainer.devices=2", "--trainer.strategy=ddp"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    for name, tensor in weights(one).items():
        torch.testing.assert_close(weights(two)[name], tensor, rtol=1e-3, atol=1e-4)


def test_packed_videos_train_by_the_same_command_and_resume_exactly(arguments, videos, tmp_path, monkeypatch):
    pytest.importorskip("scenedetect")
    from video_ae.preparation.prepare import prepare

    prepare(videos, tmp_path / "packed", size=24)
    common = [*arguments, f"--data.root={tmp_path / 'packed'}", "--data.augment=true", "--data.overlap=[0.9,0.1]"]
    common.append("--data.overlap_clips=10")
    whole = train(parse_run([*common, "--out", str(tmp_path / "whole")]))
    run = train(parse_run([*common, "--trainer.max_steps=4"]))
    assert not same(weights(whole), weights(run))
    train(parse_run(["--resume", "--out", str(run), "--trainer.max_steps=8"]))
    assert same(weights(whole), weights(run))


def test_overlap_of_raw_videos_is_not_known(arguments):
    with pytest.raises(UserError, match=r"prepare the videos first"):
        train(parse_run([*arguments, "--data.overlap=[0.9,0.5]"]))


def test_what_is_left_out_is_counted_in_the_log(arguments, videos, tmp_path, caplog):
    import shutil

    shutil.copytree(videos, tmp_path / "mixed")
    (tmp_path / "mixed" / "empty.mp4").touch()
    train(parse_run([*arguments, f"--data.root={tmp_path / 'mixed'}", "--trainer.max_steps=2"]))
    assert "2 videos, 1 left out" in caplog.text
    assert "left out empty.mp4: " in caplog.text


def test_a_mixture_of_raw_and_packed_videos_trains(arguments, videos, tmp_path, caplog):
    pytest.importorskip("scenedetect")
    from video_ae.preparation.prepare import prepare

    prepare(videos, tmp_path / "packed", size=24)
    mix = f'--data.mix={{"{tmp_path / "packed"}": 3.0}}'
    run = train(parse_run([*arguments, mix, "--data.gap_seconds=[0.03,0.1]", "--trainer.max_steps=3"]))
    assert f"{tmp_path / 'packed'}: 2 videos, 0 left out" in caplog.text
    again = train(parse_run([*arguments, mix, "--data.gap_seconds=[0.03,0.1]", "--trainer.max_steps=3", "--overwrite"]))
    assert same(weights(run), weights(again))

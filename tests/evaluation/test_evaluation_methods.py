"""Models as the protocols see them: the focal length only where it is given, the target only where it may be seen."""

import pytest
import torch
from evaluation_fakes import FakeSource, make_clip

from video_ae.errors import UserError
from video_ae.evaluation import evaluate
from video_ae.evaluation.baselines import nearest_context
from video_ae.evaluation.methods import ModelMethods
from video_ae.evaluation.metrics.lpips import image_metrics
from video_ae.evaluation.protocols.running import without_truth
from video_ae.evaluation.protocols.view_protocol import ViewsSettings, run_view_protocol
from video_ae.models.base import Options, VideoModel
from video_ae.types import CameraEstimate, Cameras, RenderedViews, Scene

CPU = torch.device("cpu")


def estimate_of(clip):
    """The frames' numbers as positions on the x axis."""
    poses = torch.eye(4).repeat(len(clip), 1, 1)
    poses[:, 0, 3] = clip.indices.float()
    cameras = Cameras(poses, torch.tensor([0.8, 1.0, 0.5, 0.5]).repeat(len(clip), 1))
    maps, ones = torch.ones(len(clip), 2, 2), torch.ones(len(clip))
    return CameraEstimate(cameras, maps, ones, torch.eye(6).repeat(len(clip), 1, 1))


def views_of(image):
    flat = image[None, 0]
    return RenderedViews(image[None], torch.ones_like(flat), torch.ones_like(flat))


class SpyModel(VideoModel):
    """Notes what it was asked and renders the x position of the camera as a grey value."""

    def __init__(self):
        super().__init__()
        self.focals, self.frames = [], []

    def forward(self, clip):
        raise AssertionError("nobody trains it here")

    def find_cameras(self, clip, options=Options()):
        self.focals.append(options.focal)
        return estimate_of(clip)

    def synthesize(self, contexts, target, options=Options()):
        self.focals.append(options.focal)
        return views_of(target.frames[0])

    def encode_scene(self, clip, options=Options()):
        self.focals.append(options.focal)
        self.frames.append(len(clip))
        return Scene(clip, estimate_of(clip), (), ())

    def render(self, scene, cameras, size=None):
        width, height = size or scene.clip.image_size
        return views_of((cameras.centers[0, 0] / 100).expand(3, height, width))


def test_the_focal_length_is_handed_on_only_where_it_is_given():
    model, clip = SpyModel(), make_clip("a", 4)
    methods = ModelMethods(model, CPU, 0)
    assert methods.estimate_poses(without_truth(clip, False)).covariance.shape == (4, 6, 6)
    methods.estimate_poses(without_truth(clip, True))
    methods.synthesize(without_truth(clip.select([0, 2]), True), clip.select([1]))
    assert model.focals == [None, pytest.approx(0.7), pytest.approx(0.7)]


def test_a_hidden_targets_camera_lies_between_its_neighbours():
    clip = make_clip("a", 13)
    synthesize = ModelMethods(SpyModel(), CPU, 0).synthesize_hidden
    contexts = clip.select([4, 12])
    assert synthesize(contexts, clip.select([6])).image[0, 0, 0] == pytest.approx(6 / 100)
    with pytest.raises(UserError, match="does not lie between"):
        synthesize(contexts, clip.select([2]))


def test_a_scene_is_rendered_from_its_own_cameras_at_the_clips_size():
    scene = ModelMethods(SpyModel(), CPU, 0).build_scene(make_clip("a", 5))
    views = scene.render(scene.cameras.select([3]))
    assert views.rgb.shape == (1, 3, 16, 20)
    assert views.rgb[0, 0, 0, 0] == pytest.approx(3 / 100)


def test_models_without_cameras_are_refused_in_one_sentence(tmp_path, monkeypatch):
    from video_ae.models.open import build_model, save_weights

    lecture = build_model({"class_path": "video_ae.lecture.plain.PlainAutoencoder", "init_args": {}})
    save_weights(lecture, tmp_path / "weights.safetensors")
    monkeypatch.setattr(evaluate, "open_dataset", lambda data: FakeSource())
    settings = evaluate.ModelSettings(tmp_path / "weights.safetensors")
    with pytest.raises(UserError, match="PlainAutoencoder, which does not reconstruct whole videos"):
        evaluate.evaluate_poses(tmp_path, tmp_path / "out", settings=settings)


def test_models_of_one_kind_are_told_apart_by_their_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "open_dataset", lambda data: FakeSource())
    monkeypatch.setattr(evaluate, "load_video_model", lambda weights, device: SpyModel())
    settings = evaluate.ModelSettings(beside=[tmp_path / "other"])
    result = evaluate.evaluate_poses(tmp_path, tmp_path / "out", settings=settings)
    assert (result.method, next(iter(result.baselines))) == ("spymodel", "spymodel (other)")


def test_files_of_one_name_and_a_run_given_twice_have_a_column_each(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "open_dataset", lambda data: FakeSource())
    monkeypatch.setattr(evaluate, "load_video_model", lambda weights, device: SpyModel())
    a, b = (tmp_path / run / "w.safetensors" for run in "ab")
    result = evaluate.evaluate_poses(tmp_path, tmp_path / "out", settings=evaluate.ModelSettings(beside=[a, b, b]))
    names = ["spymodel (w.safetensors)", "spymodel (b/w.safetensors)"]
    assert list(result.baselines)[:2] == names
    assert [name.startswith("spymodel") for name in result.baselines].count(True) == 3


def test_nothing_of_the_model_sees_a_hidden_target():
    model = SpyModel()
    result = run_view_protocol(
        FakeSource(), {"spy": ModelMethods(model, CPU, 0).synthesize_hidden}, ViewsSettings((2,), show_target=False)
    )
    assert model.frames == [2, 2, 2]
    assert result.result.clips["clip0"]["2"]["views"] == 3
    assert "failed" not in result.result.clips["clip0"]["2"]


def test_perspective_renders_a_hidden_target_at_its_own_size():
    from video_ae.camera.solver import CameraSolver
    from video_ae.models.perspective import PerspectiveAutoencoder
    from video_ae.renderers.frustum_renderer import FrustumRenderer
    from video_ae.structure.plane_sweep import PlaneSweepEncoder

    torch.manual_seed(0)
    camera = CameraSolver(size=16, search_size=16, steps=1, directions=8, focal_starts=(0.7,), candidates=1)
    model = PerspectiveAutoencoder(camera, PlaneSweepEncoder(), FrustumRenderer(), planes=4, working_side=16).eval()
    clip = make_clip("a", 5)
    seen = without_truth(clip.select([0, 4]), True)
    synthesize = ModelMethods(model, CPU, 0).synthesize_hidden
    found = synthesize(seen, clip.select([2]))
    assert found.image.shape == (3, 16, 20)
    assert found.disparity.shape == (16, 20)
    hidden = clip.__class__(**{**vars(clip.select([2])), "frames": torch.zeros(1, 3, 16, 20)})
    torch.testing.assert_close(vars(synthesize(seen, hidden)), vars(found))


def test_missing_lpips_is_null_with_a_reason(monkeypatch):
    def nothing(path=None):
        raise UserError("no weights")

    monkeypatch.setattr("video_ae.evaluation.metrics.lpips.Lpips.load", nothing)
    metrics = image_metrics()
    assert "lpips" not in metrics.found
    result = run_view_protocol(FakeSource(), {"nearest": nearest_context}, metrics=metrics)
    row = result.result.clips["clip0"]["2"]
    assert (row["lpips"], row["reasons"]["lpips"]) == (None, "no weights")


def test_impossible_view_settings_are_one_sentence(tmp_path):
    with pytest.raises(UserError, match="at least 1"):
        evaluate.evaluate_views(tmp_path, tmp_path / "out", gaps=[0])
    with pytest.raises(UserError, match="both sides"):
        evaluate.evaluate_views(tmp_path, tmp_path / "out", kind="onward", hide_target=True)

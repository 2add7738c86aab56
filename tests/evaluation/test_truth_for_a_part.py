"""Data sets of which a part has true cameras: that part is measured, the rest is named and counted."""

from dataclasses import replace

import pytest
from evaluation_fakes import FakeSource

from video_ae.errors import UserError
from video_ae.evaluation.baselines import standing_still
from video_ae.evaluation.protocols.pose_protocol import run_pose_protocol
from video_ae.evaluation.protocols.running import named_clips
from video_ae.evaluation.protocols.view_protocol import run_view_protocol
from video_ae.evaluation.protocols.with_truth import NO_CAMERAS
from video_ae.evaluation.tables import markdown_tables


class Half(FakeSource):
    """The second of three clips has no cameras, the third is damaged, which shows when it is read."""

    skipped = property(lambda self: {"gone": "It is gone."})

    def __init__(self):
        super().__init__(frames=(13, 6, 8))
        self.clips[1] = replace(self.clips[1], cameras=None)

    def load(self, number, indices=None, size=None, fit="stretch"):
        if number == 2 and indices is None:
            raise UserError("It is damaged.")
        return super().load(number, indices)


def test_what_has_truth_is_measured_and_the_rest_is_named():
    result = run_pose_protocol(Half(), {"still": standing_still})
    assert list(result.result.clips) == ["clip0"]
    reasons = {"gone": "It is gone.", "clip1": NO_CAMERAS, "clip2": "It is damaged."}
    assert result.settings["quarantined"] == reasons
    text = markdown_tables(result.to_dict())
    assert "Left out of the data set (3):" in text
    assert f"* clip1: {NO_CAMERAS}" in text


def test_where_no_clip_can_be_read_the_last_reason_is_the_error():
    source = Half()
    source.clips = source.clips[1:]  # the damaged one is number 1 now
    source.load = lambda number, indices=None, size=None: Half().load(2)
    with pytest.raises(UserError, match="damaged"):
        list(named_clips(source))


def test_none_has_truth():
    with pytest.raises(UserError, match=r"clip0.*no true cameras.*nor have 1 others"):
        run_view_protocol(FakeSource(with_cameras=False), {})

"""The numbers that the camera solver decides by. Costs are Cauchy costs of a correspondence, on average."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """When a solution is kept, tried again or given up, and when its notes say so; each is read in the file named.

    Args:
        pure_rotation_cost_ratio: translation must leave less than this part of the cost of a pure rotation, in
            correspondences of wide gaps, where there is parallax to explain (initialization).
        pure_rotation_cost_ratio_neighbors: the same where only neighbouring frames were matched (initialization).
        reinit_cost: above it, the best initialization of all frames competes with an incremental one (initialization),
            and a submap that was started from the one before with one from nothing (submaps).
        prune_cost_ratio: an initialization whose cost is so many times the best one's after a few steps is given up
            (initialization).
        resolve_cost_ratio: a submap whose cost is so many times its neighbour's is solved again, from nothing or
            backwards from that one: a wrong submap costs 1.4 times as much, right ones vary by 10 % (submaps).
        lost_cost: above it, a submap that was started from the one before is initialized anew (solver).
        duplicate_cost: initializations whose costs differ by less than this part are one and the same (initialization).
        selection_pixels: a frame is solved where a quarter of the image has moved by more since the last one that is,
            at a working size of 64 pixels (frame_selection).
        moving_pixels: the same for clips that hardly move (frame_selection).
        misfit_cost: from it on clips are lost, at a working size of 64 pixels: right ones cost 0.13 at most, lost ones
            0.15 and more (covariance).
        misfit_ratio: of that cost, above which the notes say that the correspondences contradict a rigid scene
            (quality_flags).
        doubtful_fit: the part of a frame's confidence that its correspondences leave, below which a note names it; 1/2
            is where clips begin to be lost. Right clips of training and validation have 0.96 and more in every frame,
            wrong ones 0.6 at most in one (quality_flags).
        keyframe_overlap: part of a keyframe's points that the next one sees at least (global_adjustment).
        loop_overlap: part of both frames' points that a loop closure shares at least (loop_closure).
        loop_reliable: part of the points that two frames of one place have matched both ways (loop_verification).
        loop_explained: part of the texture that both must see, which is found where it must be: 0.55 to 0.98 at true
            loops, 0.46 at most where textures repeat, but for one of 0.59 (loop_verification).
        loop_disagreement: between what two matches say of the same loop, in radians, mean depths and the logarithm of
            the scale (loop_verification, loop_detection).
        loop_drift: part of the path between two frames that the error at its end may be (loop_detection).
        loop_closed: the same between a loop and the path, below which nothing needs closing (loop_detection, solver).
        loop_cost_ratio: of the mean cost of the other matches, which closing loops may leave: true ones lower it by up
            to 1 %, false ones raise it by 4 % to five times (solver).
        textured_fraction: part of the correspondences that must carry information (quality_flags).
        stationary_pixels: a camera is stationary where three quarters of the correspondences move by less
            (quality_flags).
        parallax_pixels: below it, translation and depth are called a guess (quality_flags).
        flat_spread: what lies between the quartiles of a frame's inverse depths, as a part of their median, below which
            all lies at about one distance: training walks have 0.5 and more (quality_flags).
        straight_part: of all steps of a path, which must lead ahead or back to look like a zoom (quality_flags).
        uncertain_focal: standard deviation of the logarithm of the focal length, above which a note says so
            (quality_flags).
        blurred_ratio: of the steepness of a sharp frame's edges, below which a frame is called blurred (quality_flags).
        little_overlap: part of a frame in the next one, below which overlap is called little (quality_flags).
        round_trip_pixels: matches that come back further away than this are dropped (frame_graph).
    """

    pure_rotation_cost_ratio: float = 0.34
    pure_rotation_cost_ratio_neighbors: float = 0.4
    reinit_cost: float = 0.1
    prune_cost_ratio: float = 1.5
    resolve_cost_ratio: float = 1.2
    lost_cost: float = 0.2
    duplicate_cost: float = 3e-3
    selection_pixels: float = 2.0
    moving_pixels: float = 0.15
    misfit_cost: float = 0.15
    misfit_ratio: float = 1.3
    doubtful_fit: float = 0.5
    keyframe_overlap: float = 0.5
    loop_overlap: float = 0.5
    loop_reliable: float = 0.1
    loop_explained: float = 0.5
    loop_disagreement: float = 0.1
    loop_drift: float = 0.2
    loop_closed: float = 0.03
    loop_cost_ratio: float = 1.02
    textured_fraction: float = 0.05
    stationary_pixels: float = 0.2
    parallax_pixels: float = 0.75
    flat_spread: float = 0.15
    straight_part: float = 0.9
    uncertain_focal: float = 0.08
    blurred_ratio: float = 0.5
    little_overlap: float = 0.5
    round_trip_pixels: float = 2.0


THRESHOLDS = Thresholds()

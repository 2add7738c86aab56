"""`results.md` from the content of `results.json`, so that no number is typed by hand."""

from collections.abc import Mapping
from typing import Any

POSE_COLUMNS = {
    "ate_rmse_over_extent": ("ATE RMSE / RMS extent of the true path, Sim(3)", 3),
    "rotation_deg": ("rotation error, degrees, pairs {gap} frames apart, no alignment", 2),
    "translation_direction_deg": (
        "translation-direction error, degrees, pairs {gap} frames apart, in the first camera's axes, no alignment", 1,
    ),
    "auc_30": ("AUC@30 over all pairs, rotation and signed translation direction, no alignment (higher is better)", 3),
    "posed_percent": ("frames that got a pose of their own, % (others get their nearest posed neighbour's)", 0),
    "ate_rmse_over_extent_posed_only": ("ATE RMSE / RMS extent of the true path, Sim(3), posed frames only", 3),
    "focal_ratio": ("found / true focal length", 3),
    "confidence": ("the method's own mean confidence, 0 to 1", 2),
    "confidence_rank_correlation": ("rank correlation of confidence with (negative) true error, 1 is perfect", 2),
    "coverage_90_percent": ("true poses within the 90 % region of the covariance, % (90 is right)", 0),
    "coverage_90_rotation_percent": ("the same for rotations alone, %", 0),
    "cpu_seconds": ("CPU time, seconds", 1),
}  # fmt: skip
IMAGE_COLUMNS = {
    "psnr": ("PSNR, dB, whole frame", 2),
    "ssim": ("SSIM, whole frame", 3),
    "ms_ssim": ("MS-SSIM, whole frame", 3),
    "lpips": ("LPIPS-VGG (lower is better), whole frame", 3),
    "vgg_cosine": ("VGG cosine distance, the 2021 paper's perceptual similarity (lower is better), whole frame", 3),
}
HARD_COLUMNS = {
    "ate_rmse_over_extent": POSE_COLUMNS["ate_rmse_over_extent"],
    "error_ratio": ("ATE over that of the same walk without the last effect", 2),
    "mask_iou": ("masks of what moves: intersection over union", 3),
    "rotation_deg": POSE_COLUMNS["rotation_deg"],
    "focal_error_percent": ("error of the focal length, %, of the frame where it is largest", 1),
    **{name: POSE_COLUMNS[name] for name in ("posed_percent", "confidence", "cpu_seconds")},
}
PHONE_COLUMNS = {**HARD_COLUMNS, "closing_percent": ("Ends of the walk apart, % of the path's length", 2)}
COLUMNS: dict[str, dict[str, tuple[str, int]]] = {
    "poses": POSE_COLUMNS,
    "hard": HARD_COLUMNS,
    "phone": PHONE_COLUMNS,
    "views": IMAGE_COLUMNS,
    "held-out views": IMAGE_COLUMNS
    | {
        "gradient_energy": ("squared gradients of the view over those of the frame (1 is as sharp)", 3),
        "views_per_cpu_second": ("views a CPU second", 1),
    },
    "published": IMAGE_COLUMNS
    | {
        "ate_mean": ("ATE mean after Sim(3), the truth's unit", 4),
        "ate_rmse": ("ATE RMSE after Sim(3), the truth's unit", 4),
        "ate_max": ("ATE maximum after Sim(3), the truth's unit", 4),
        "ate_rmse_over_extent": ("ATE RMSE / RMS extent of the true path, Sim(3)", 3),
        "rotation_deg": ("rotation error, degrees, pairs 5 frames apart (never scored in the original)", 2),
    },
    "reconstruction": IMAGE_COLUMNS
    | {
        "depth_abs_rel": ("depth, mean |found - true| / true after median scaling per frame", 3),
        "depth_within_25_percent": ("depth, share of pixels within a factor of 1.25 after median scaling per frame", 3),
        "cpu_seconds": ("CPU time, seconds", 1),
    },
    "pose transfer": {
        "point_psnr": ("PSNR of the first frame's points where the other clip's motion must take them, dB", 2),
        "points_percent": ("points that stay in view, %", 0),
    },
}
"""By protocol: the name of a number, its title and its decimals."""


def markdown_tables(content: Mapping[str, Any]) -> str:
    """One table per measure; a row per clip, then mean, median and the mean's 95 % interval; a column per method.

    Args:
        content: of `results.json`.
    """
    settings = content["settings"]
    lines = [f"# Evaluation of {content['protocol']}: {content['method']}", ""]
    lines += [f"`{settings['command']}`", ""] if settings.get("command") else []
    lines += [_settings_line(settings), "", *_left_out(settings)]
    views = content["protocol"] == "views"
    for gap in map(str, settings["gaps"]) if views else (None,):
        for key, (title, digits) in COLUMNS[content["protocol"]].items():
            title = f"{title}, gap {gap}" if gap else title.format(gap=settings.get("gap"))
            where = (gap, key) if gap else (key,)
            if key in (_get(content["mean"], where[:-1]) or {}):
                lines += _table(content, where, title, digits, "views" if views else "frames")
    lines += [f"{clip} is left out of every mean and median: {why}." for clip, why in settings.get("apart", {}).items()]
    lines += ["† sees the truth: a bound, not a method. - : not defined; `results.json` says why.", ""]
    return "\n".join(lines + _failures(content) + _diagnostics(content))


def _diagnostics(content: Mapping[str, Any]) -> list[str]:
    """A line for each sign of collapse that was found, and how many were looked for."""
    found = [(clip, finding) for clip, findings in content.get("diagnostics", {}).items() for finding in findings]
    if not found:
        return []
    lines = [
        f"* {clip}: **{one['name']}** ({one['value']:.3g}, limit {one['limit']:.3g}): {one['meaning']}"
        for clip, one in found
        if one["triggered"]
    ]
    counted = f"{len(found)} checks of {content['method']}."
    return ["## Signs of collapse", "", counted, "", *(lines or ["* none found"]), ""]


def _left_out(settings: Mapping[str, Any]) -> list[str]:
    """A line for each clip that could not be measured."""
    reasons = settings.get("quarantined", {})
    lines = [f"* {clip}: {reason}" for clip, reason in reasons.items()]
    return [f"Left out of the data set ({len(reasons)}):", "", *lines, ""] if lines else []


def _settings_line(settings: Mapping[str, Any]) -> str:
    """The settings in one line, without those that are written elsewhere or in another form."""
    elsewhere = ("command", "versions", "hardware", "apart", "quarantined")
    parts = [f"{key} {value}" for key, value in settings.items() if key not in elsewhere]
    parts += [f"{name} {number}" for name, number in settings.get("versions", {}).items()]
    hardware = settings.get("hardware", {})
    parts += [f"{hardware['cores']} cores, {hardware['threads']} threads, GPU {hardware['gpu']}"] if hardware else []
    return "; ".join(parts)


def _get(row: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        row = row.get(key) if isinstance(row, Mapping) else None
    return row


def _table(content: Mapping[str, Any], keys: tuple[str, ...], title: str, digits: int, count: str) -> list[str]:
    methods = {content["method"]: content} | content["baselines"]
    names = [name + (" †" if method.get("sees_truth") else "") for name, method in methods.items()]

    def cell(value: Any) -> str:
        if isinstance(value, list):
            return f"{value[0]:.{digits}f} to {value[1]:.{digits}f}"
        return "-" if value is None else f"{value:.{digits}f}"

    def row(label: str, number: Any, *where: str) -> str:
        values = [cell(_get(method, (*where, *keys))) for method in methods.values()]
        return "| " + " | ".join([label, str(number), *values]) + " |"

    lines = [f"## {title}", "", "| clip | " + count + " | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    for clip, own in content["clips"].items():
        number = _get(own, (*keys[:-1], count))
        if own.get("posed", number) != number and count == "frames":
            number = f"{number} ({own['posed']} posed)"
        lines.append(row(clip, number, "clips", clip))
    lines += [row("**mean**", "", "mean"), row("median", "", "median"), row("mean, 95 % bootstrap", "", "interval_95")]
    lines += [row(f"mean of {group}", "", "groups", group) for group in content.get("groups", {})]
    return [*lines, ""]


def _failures(content: Mapping[str, Any]) -> list[str]:
    """A line for each clip, or clip and gap, at which the method failed."""
    lines = []
    for clip, row in content["clips"].items():
        for label, inner in [(clip, row)] + [(f"{clip}, gap {gap}", inner) for gap, inner in row.items()]:
            if isinstance(inner, Mapping) and "failure" in inner:
                lines.append(f"* failed on {label}: {inner['failure']}")
    return ["## Failures (counted above)", "", *lines, ""] if lines else []

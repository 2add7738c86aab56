"""Whether confidence finds the clips that failed: `python tools/rank_confidence.py docs/results/*.json`.

Of the clips of all tables of cameras that are given (files that `evaluate poses`, `hard` and `phone` wrote): the rank
correlation of trajectory error and confidence, the confidence of the lowest fifth, and the clips whose error is above
0.05 of the path's extent, each with its confidence. Exit code 1 where one of these lies above the lowest fifth.
"""

import argparse
import json
from pathlib import Path

import torch

from video_ae.evaluation.metrics.statistics import rank_correlation

FAILED = 0.05  # trajectory error over the path's extent
Row = tuple[float, float, str]  # error, confidence, table and clip


def read_rows(files: list[Path]) -> list[Row]:
    """Error and confidence of each clip that has both, the largest error first.

    Args:
        files: `results.json` of protocols; those that are not about cameras hold no confidence.
    """
    rows = []
    for file in files:
        for clip, row in json.loads(file.read_text()).get("clips", {}).items():
            error, confidence = row.get("ate_rmse_over_extent"), row.get("confidence")
            if error is not None and confidence is not None:
                rows.append((error, confidence, f"{file.stem}, {clip}"))
    return sorted(rows, reverse=True)


def missed(rows: list[Row]) -> list[Row]:
    """Failed clips whose confidence is not in the lowest fifth.

    Args:
        rows: of all clips.
    """
    fifth = sorted(confidence for _, confidence, _ in rows)[len(rows) // 5]
    return [row for row in rows if row[0] > FAILED and row[1] >= fifth]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    rows = read_rows(parser.parse_args().results)
    if len(rows) < 5:
        raise SystemExit(f"rank_confidence: {len(rows)} clips with an error and a confidence, at least 5 are needed")
    errors, confidences = (torch.tensor([row[column] for row in rows]) for column in (0, 1))
    fifth = confidences.sort().values[len(rows) // 5].item()
    ranked = rank_correlation(-errors, confidences)
    print(f"{len(rows)} clips: rank correlation {ranked:.2f}, lowest fifth below {fifth:.3f}")
    for error, confidence, name in rows:
        if error > FAILED:
            print(f"{name}: error {error:.3f}, confidence {confidence:.3f}{'' if confidence < fifth else ', MISSED'}")
    return 1 if missed(rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())

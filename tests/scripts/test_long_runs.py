"""What `make fuzz` and `make soak` came to adds up, and stands in the tables of docs/reliability.md."""

import csv
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
import fuzz_parsers
import make_tables
import soak


def test_minutes_of_fuzzing_add_up_over_days(tmp_path):
    ledger = tmp_path / "fuzz.json"
    assert fuzz_parsers.minutes_of(ledger, "tum") == 0
    ledger.write_text(json.dumps({"tum": [{"date": "2020-02-02", "minutes": 1.5, "files": 1000}]}))
    for _ in range(2):
        fuzz_parsers.add_to_ledger(ledger, "tum", 30, 200)
    fuzz_parsers.add_to_ledger(ledger, "kitti", 60, 7)
    assert (fuzz_parsers.minutes_of(ledger, "tum"), fuzz_parsers.minutes_of(ledger, "kitti")) == (2.5, 1)
    content = json.loads(ledger.read_text())
    assert [len(content["tum"]), len(content["kitti"])] == [2, 1]
    page = tmp_path / "page.md"
    page.write_text("<!-- fuzz fuzz.json -->\n<!-- /fuzz -->\n")
    make_tables.main([str(page)])
    assert f"| tum | 2.5 | 1,400 | {content['tum'][1]['date']} |" in page.read_text()
    assert "| all 2 | 4 | 1,407 | |" in page.read_text()


@pytest.mark.parametrize(("creep", "files", "ended"), [(0, 11, 0), (0.1, 11, 1), (0, 12, 1)], ids=str)
def test_a_soak_that_creeps_or_leaves_files_open_fails(creep, files, ended, tmp_path, monkeypatch):
    with (tmp_path / "soak.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(soak.COLUMNS)
        for number in range(200):
            command = "train" if number % 41 == 0 else "render"
            memory = 600 + creep * number if number > 20 else 900  # what is compiled first is left out
            lines.writerow([36 * number, command, memory, files if number == 190 else 11, 1, 0.5])
    monkeypatch.setattr(sys, "argv", ["soak.py", "--read", str(tmp_path / "soak.csv")])
    with pytest.raises(SystemExit) as stopped:
        soak.main()
    assert stopped.value.code == ended
    found = json.loads((tmp_path / "soak.json").read_text())
    assert (found["trainings"], found["calls"]) == (5, 195)
    assert found["mb_an_hour"] == pytest.approx(100 * creep, abs=0.01)
    assert found["files"] == [11, files]
    assert (tmp_path / "soak.png").stat().st_size > 1000
    page = tmp_path / "page.md"
    page.write_text("<!-- soak soak.json -->\n<!-- /soak -->\n")
    make_tables.main([str(page)])
    assert f"| its trend | {100 * creep:+.1f} MB an hour |" in page.read_text()


def test_the_tables_of_the_page_are_up_to_date():
    page = Path(__file__).parents[2] / "docs" / "reliability.md"
    text = page.read_text(encoding="utf-8")
    assert make_tables.fill(text, page.parent) == text

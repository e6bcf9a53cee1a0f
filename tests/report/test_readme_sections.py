"""The README's table and the number to cite, from made-up logs and metrics."""

import json
import shutil

import pytest
import yaml

from ssl_jax import version
from ssl_jax.report import readme
from ssl_jax.report.logs import TITLES
from ssl_jax.report.readme import (
    ReadmeRow,
    cite_section,
    read_citation,
    readme_cells,
    results_section,
    update_readme,
)
from support.made_logs import (
    OURS,
    OURS_WITH_LAST,
    STAGES,
    cells,
    row_of,
    write_log,
    write_notes,
)
from support.runs import ROOT, refuses

PAGE = (
    "# \u00c4 title\n<!-- results: begin -->\n{}\n<!-- results: end -->\nbetween\n"
    "<!-- cite: begin -->\n{}\n<!-- cite: end -->\nafter\n"
)


def metrics_of(top1):
    return {"top1": top1, "mean_angular_error": 12.0, "front_back": 5.0}


@pytest.fixture
def results(results):
    """Protocol published with two runs, clean with one of two seeds and its metrics."""
    (results / "mine").rename(results / "published")
    write_log(
        results / "published/model2_continued.csv",
        OURS_WITH_LAST,
        [*row_of(20, 0.5), 1.25, 55.5, 97.0],
    )
    write_notes(results / "clean")
    write_log(results / "clean/model2.csv", OURS, row_of(5, 10.0))
    write_log(results / "clean/model2_seed1.csv", OURS, row_of(5, 12.0))
    metrics = {"ours_mirrored": metrics_of(40.0), "ours_mirrored_seed1": metrics_of(42.0)}
    metrics["model2"] = metrics_of(30.0)
    (results / "clean/metrics.json").write_text(json.dumps(metrics))
    timing = {"stages": {**STAGES, "ours_mirrored": STAGES["model1"]}}
    (results / "clean/timing.json").write_text(json.dumps(timing))
    shutil.copy(ROOT / "CITATION.cff", results)
    return results


@pytest.mark.parametrize(
    "row, wanted",
    [
        (
            ReadmeRow("published", "model2"),
            ["held out", "1", "14.50 (15.00)", "24.50 (25.00)", "84.50 (85.00)"],
        ),
        (
            ReadmeRow("published", "model2_continued", part="last"),
            ["last clips", "1", "30.50 (30.00)", "55.50 (40.00)", "97.00 (100.00)"],
        ),
        (
            ReadmeRow("published", "model2_continued"),
            ["held out", "1", "30.50 (30.00)", "40.50", "100.50"],
        ),
        (
            ReadmeRow("clean", "model2", with_reported=False),
            ["held out", "2", "26.00 ± 1.41", "36.00 ± 1.41", "96.00 ± 1.41"],
        ),
    ],
)
def test_a_row_has_ours_over_seeds_and_the_reported(results, row, wanted):
    assert readme_cells(results, row)[2:] == wanted


@pytest.mark.parametrize(
    "row", [ReadmeRow("clean", "ours"), ReadmeRow("published", "model2", part="last")]
)
def test_a_run_without_those_numbers_has_no_row(results, row):
    assert readme_cells(results, row) is None


def test_the_table_has_the_rows_there_are_and_a_note_for_each_protocol(results):
    section = results_section(results)
    head, *rows = cells(section)
    assert head == list(readme.HEAD)
    assert [row[:3] for row in rows] == [
        ["`published`", "Model 1, epoch 3", "held out"],
        ["`published`", "Model 2, epoch 5", "held out"],
        ["`published`", f"{TITLES['model2_continued']}, epoch 20", "last clips"],
        ["`published`", f"{TITLES['model2_continued']}, epoch 20", "held out"],
        ["`clean`", "Model 2, epoch 5", "held out"],
    ]
    notes = [line for line in section.splitlines() if line.startswith("- ")]
    assert [note.split(":")[0] for note in notes] == [
        f"- [`{name}`](results/{name}/comparison.md)" for name in ("published", "clean")
    ]
    assert all("commit: 0123456789" in note and "wall time" not in note for note in notes)


def test_no_logs_at_all_are_refused(tmp_path):
    refuses("no training logs of any protocol", results_section, tmp_path)


def test_the_number_to_cite_is_of_all_seeds(results):
    section = cite_section(results, read_citation(ROOT / "CITATION.cff"))
    box = [line.removeprefix("> ") for line in section.splitlines() if line.startswith(">")]
    assert "41.00 ± 1.41 % Top-1" in box[0]
    assert f"ssl_jax {version()}, commit 0123456789" in box[0]
    head, row = cells("\n".join(box))
    assert head == ["network", "seeds", "Top-1", "mean angular error", "front-back confusions"]
    wanted = [TITLES["ours_mirrored"], "2", "41.00 ± 1.41 %", "12.00 ± 0.00°", "5.00 ± 0.00 %"]
    assert row == wanted


def test_metrics_that_lack_a_score_are_refused(results):
    (results / "clean/metrics.json").write_text('{"ours_mirrored": {"top1": 40.0}}')
    citation = read_citation(ROOT / "CITATION.cff")
    refuses("clean/metrics.json: ours_mirrored lacks", cite_section, results, citation)


def test_the_bibtex_entry_says_what_the_citation_file_says(results):
    facts = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    entry = readme.bibtex(read_citation(ROOT / "CITATION.cff"), "0123456789")
    year = str(facts["date-released"])[:4]
    assert entry.splitlines()[1] == f"@software{{ssl_jax_{year},"
    for fact in (facts["title"], facts["authors"][0]["name"], year, version(), "0123456789"):
        assert f"{{{fact}}}" in entry.replace("commit ", "")
    assert entry.count("{") == entry.count("}")
    assert facts["version"] == version()


def test_a_run_to_cite_that_was_not_trained_is_refused(results):
    (results / "clean/metrics.json").write_text(json.dumps({"model2": metrics_of(40.0)}))
    citation = read_citation(ROOT / "CITATION.cff")
    refuses("clean: no metrics of ours_mirrored: train it first", cite_section, results, citation)


@pytest.mark.parametrize("text", [None, 'title: "a"\n'])
def test_a_citation_file_that_lacks_something_is_refused(tmp_path, text):
    path = tmp_path / "CITATION.cff"
    if text is not None:
        path.write_text(text)
    refuses("CITATION.cff: ", read_citation, path)


def test_both_sections_are_replaced_and_all_else_stays(results):
    page = results / "README.md"
    citation = results / "CITATION.cff"
    page.write_text(PAGE.format("old", "old"), encoding="utf-8")
    wanted = PAGE.format(results_section(results), cite_section(results, read_citation(citation)))
    for _ in range(2):  # a second time changes nothing
        update_readme(page, results)
        assert page.read_text(encoding="utf-8") == wanted


def test_without_the_runs_to_cite_that_section_stays(results):
    (results / "clean/metrics.json").unlink()
    page = results / "README.md"
    page.write_text(PAGE.format("old", "as it was"), encoding="utf-8")
    update_readme(page, results)
    assert page.read_text(encoding="utf-8") == PAGE.format(results_section(results), "as it was")


def test_without_the_citation_file_the_page_stays(results):
    (results / "CITATION.cff").unlink()
    page = results / "README.md"
    page.write_text(PAGE.format("old", "old"), encoding="utf-8")
    refuses("CITATION.cff: no such file", update_readme, page, results)
    assert page.read_text(encoding="utf-8") == PAGE.format("old", "old")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<!-- results: begin -->",
        "<!-- results: end -->",
        "<!-- results: end -->\n<!-- results: begin -->",
        "<!-- results: begin --><!-- results: begin --><!-- results: end -->",
        "<!-- results: begin --><!-- results: end --><!-- results: end -->",
    ],
)
def test_a_page_without_its_markers_is_refused_and_stays(results, text):
    page = results / "README.md"
    page.write_text(text)
    refuses("put them back", update_readme, page, results)
    assert page.read_text() == text


def test_a_page_that_is_no_text_is_refused(results):
    page = results / "README.md"
    page.write_bytes(b"\xff\xfe")
    refuses("UTF-8", update_readme, page, results)

"""What lessons say is what they print; whether they print it is for the frameworks' tests."""

import itertools
import re
import tomllib

import nbformat
import pytest
from course import FOLDER, LESSONS, NAMES, lesson, notebooks
from wrong_answers import WRONG

from zoo.writing import notes

FRAMEWORKS = ("torch", "paddle", "keras", "flax")
DISTRIBUTION = tomllib.loads((FOLDER.parents[1] / "pyproject.toml").read_text("utf-8"))["project"][
    "name"
]

every_lesson = pytest.mark.parametrize("page", LESSONS, ids=NAMES)


@every_lesson
def test_every_number_in_the_prose_is_printed_by_a_cell(page):
    assert lesson.unsupported(page) == []


def page_of(prose: str, printed: str):
    """A lesson of one paragraph, whose cells print something."""

    class Page(lesson.Lesson):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(prose)])
        recorded = printed

    return Page("page")


@pytest.mark.parametrize(
    ("prose", "printed", "missing"),
    [
        ("It has 6,998,552 weights.", "weights: 6,998,552", []),
        ("It has 7.0 million weights, or 29.3%.", "6.998 M and 29.31%", []),
        ("An error of 2e-15, twice as large as 1e-15.", "2e-15", ["1e-15"]),
        ("It has 6,998,551 weights.", "weights: 6,998,552", ["6,998,551"]),
        ("The factor is 0.59.", "0.5846", ["0.59"]),
        ("The factor is 0.58.", "0.5846", []),
        ("There are 3 windows.", "3.2", ["3"]),
        ("In 2014 (section 4.2), a 3x3 kernel with `stride=2`; see [it](a/17.md).", "", []),
    ],
)
def test_a_number_that_no_cell_prints_is_found(prose, printed, missing):
    assert lesson.unsupported(page_of(prose, printed)) == missing


@pytest.mark.parametrize(
    ("found", "expected", "same"),
    [
        ("loss 0.1698", "loss 0.1698", True),
        ("loss 0.1699", "loss 0.1698", True),
        ("loss 0.1700", "loss 0.1698", False),
        ("loss  0.1698", "loss 0.1698", True),
        ("cost 0.1698", "loss 0.1698", False),
        ("error 3e-16", "error 0e+00", True),
        ("error 3e-16", "error 2e-15", True),
        ("error 4e-07", "error 9e-07", True),
        ("error 4e-05", "error 9e-07", False),
        ("7 windows", "8 windows", False),
        ("1,025,000", "1,025,001", False),
        ("-1.0", "1.0", False),
    ],
)
def test_what_is_printed_is_compared(found, expected, same):
    assert (not lesson.differences(found, expected)) == same


def test_lines_too_many_and_too_few_are_found():
    assert lesson.differences("a\nb", "a") == ["unexpected 'b'"]
    assert lesson.differences("a", "a\nb") == ["missing 'b'"]


@every_lesson
def test_a_lesson_has_its_parts(page):
    prose = page.prose
    assert page.title.endswith("?")
    assert page.topics
    for framework in ("PyTorch", "PaddlePaddle", "Keras", "Flax"):
        assert re.search(rf"^### {framework}", prose, re.MULTILINE), framework
    assert re.search(r"^## (What zoo does|The paper's table)", prose, re.MULTILINE)
    assert re.search(r"^## Exercise", prose, re.MULTILINE)
    assert "hide-cell" in page.code[-1].metadata["tags"]


@every_lesson
def test_a_check_refuses_the_first_try_and_accepts_the_solution(page):
    *_, check, solution = page.code
    defined, _, tried = check.source.partition("\n\n\ntry:\n    check(")
    assert "def check(" in defined
    assert re.search(r"^ +(zoo\.testing\.assert_same\(|assert )", defined, re.MULTILINE)
    assert re.search(r"\nexcept .*AssertionError.* as error:\n    print\(.*error.*\)$", tried)
    assert re.search(r"^check\(", solution.source, re.MULTILINE)
    refused, accepted = re.split(r"(?m)^\[\d+\]\n", page.recorded)[-2:]
    (said,) = re.findall(r'^    print\(f?"([^"{]*)', defined, re.MULTILINE)
    assert accepted.startswith(said)
    assert not refused.startswith(said)


def test_every_lesson_has_a_wrong_answer():
    assert list(WRONG) == NAMES


@every_lesson
def test_a_lesson_has_a_picture_and_every_picture_a_description(page):
    pictures = [cell for cell in page.code if "plt.show()" in cell.source]
    assert pictures
    for cell in pictures:
        assert len(lesson.description(cell)) > 80
        assert "hide-input" in cell.metadata["tags"]


@every_lesson
def test_headings_descend_one_level_at_a_time(page):
    levels = [len(marks) for marks in re.findall(r"^(#+) ", page.prose, re.MULTILINE)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


@every_lesson
def test_the_site_has_what_belongs_to_a_framework_in_tabs(page):
    notebook = notebooks.with_tabs(notebooks.for_site(page))
    (tabs,) = (cell.source for cell in notebook.cells if "{tab-set}" in cell.source)
    assert set(re.findall(r"^:sync: (\w+)", tabs, re.MULTILINE)) >= set(FRAMEWORKS)
    cells = [cell for cell in page.code if cell.source in tabs]
    assert len(cells) == tabs.count("{tab-item}")
    shown = [cell.source for cell in notebook.cells if cell.cell_type == "code"][1:]
    assert shown == [cell.source for cell in page.code if cell not in cells]
    assert "tags" in notebook.cells[0].metadata  # the preparations, which are not shown
    assert not any(cell.source.startswith("### ") for cell in notebook.cells)


@every_lesson
def test_a_downloaded_notebook_installs_what_it_needs_and_hides_the_solution(page):
    first, prepare, *cells = (
        cell for cell in notebooks.downloadable(page).cells if cell.cell_type == "code"
    )
    assert first.source == f"%pip install -q '{DISTRIBUTION}[all]'"
    assert prepare.metadata["cellView"] == "form"
    assert [cell.source.removeprefix("# @title Picture\n") for cell in cells[:-1]] == [
        cell.source for cell in page.code[:-1]
    ]
    assert cells[-1].source == f"# @title Solution\n{page.code[-1].source}"
    assert cells[-1].metadata["cellView"] == "form"


def test_a_topic_belongs_to_one_lesson():
    topics = [topic for page in LESSONS for topic in page.topics]
    assert len(topics) == len(set(topics))
    assert {note.topic for note in notes.NOTES} <= set(topics), "a page of sources links to it"


def test_the_table_of_contents_lists_every_lesson_once_in_order():
    text = (FOLDER / "index.md").read_text("utf-8")
    listed = re.findall(r"^\d+\. \[(.*?)\]\((.*?)\.md\)", text, re.MULTILINE)
    assert listed == [(page.title, page.name) for page in LESSONS]
    files = {path.stem for path in FOLDER.glob("*.md")} - {"index"}
    assert files == set(NAMES)
    assert {path.stem for path in (FOLDER / "outputs").iterdir()} == files

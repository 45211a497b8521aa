"""The lessons in docs/lessons, whose programs are beside them."""

import os
import sys
from pathlib import Path

import pytest

if not os.environ.get("CI"):  # where everything that tests need is installed
    pytest.importorskip("jupytext")  # of the extra that the site needs

FOLDER = Path(__file__).parents[1] / "docs" / "lessons"

sys.path.insert(0, str(FOLDER))
import lesson as lesson
import notebooks as notebooks

sys.path.remove(str(FOLDER))
LESSONS = lesson.lessons()
NAMES = [each.name for each in LESSONS]

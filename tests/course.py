"""The lessons in docs/lessons, whose programs are beside them."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "lessons"

sys.path.insert(0, str(FOLDER))
import lesson as lesson
import notebooks as notebooks

sys.path.remove(str(FOLDER))
LESSONS = lesson.lessons()
NAMES = [each.name for each in LESSONS]

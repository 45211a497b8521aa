"""The settings of Sphinx. docs/build.py writes the pages that it reads, and starts it."""

from __future__ import annotations

import functools
from typing import Any

from sphinx.application import Sphinx

import zoo

project = "zoo"
author = "The zoo contributors"
copyright = "the zoo contributors"
release = zoo.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
]
exclude_patterns = ["extra/**", "files/**", "lessons/download/**"]
html_title = "zoo"
html_theme = "furo"
html_static_path = ["static"]
html_favicon = "static/zoo.svg"
html_css_files = ["zoo.css"]
html_js_files = ["zoo.js"]
html_show_sourcelink = False
html_copy_source = False
html_show_sphinx = False
html_use_index = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#4f3d97",
        "color-brand-content": "#4f3d97",
        "color-brand-visited": "#4f3d97",
    },
    "dark_css_variables": {
        "color-brand-primary": "#b3a3ef",
        "color-brand-content": "#b3a3ef",
        "color-brand-visited": "#b3a3ef",
    },
}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # the lessons are run by docs/lessons/run.py
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_custom_sections = ["Source"]

nitpicky = True
# The types in signatures: those of other projects, and those that this site does not describe.
nitpick_ignore_regex = [(r"py:(attr|class|data|exc|mod|obj)", r".*")]

# Only what is typed after a prompt is copied.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

#: Folders of pages that the navigation does not list; it looks the same on all of them.
_UNLISTED = ("models/",)


def setup(app: Sphinx) -> None:
    """Connect what is done for each page."""
    app.connect("html-page-context", _share_navigation, priority=100)  # before the theme
    app.connect("html-page-context", _state_levels, priority=900)


def _share_navigation(
    app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Make the navigation of unlisted pages once, which takes a third of a build otherwise."""
    folder = next(filter(name.startswith, _UNLISTED), None)
    if folder:
        context["toctree"] = functools.partial(_navigation, folder, context["toctree"])


def _state_levels(
    app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Give the captions of the navigation a level, without which they are no headings."""
    tree = context.get("furo_navigation_tree", "")
    stated = tree.replace('role="heading"', 'role="heading" aria-level="2"')
    context["furo_navigation_tree"] = stated


_made: dict[str, str] = {}


def _navigation(folder: str, make: Any, **options: Any) -> str:
    if folder not in _made:
        _made[folder] = make(**options)
    return _made[folder]

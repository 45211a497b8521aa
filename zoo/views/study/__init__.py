"""Studies as tables, as a page, and as files for other programs."""

from zoo.comparing import requirements

requirements.check()  # before an import fails within one of the modules that compute

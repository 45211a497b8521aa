"""How commands end that are ended from outside: the exit status, and what they print."""

CLOSED_PIPE = 141  # 128 + SIGPIPE
INTERRUPTED = 130  # 128 + SIGINT

_advice = ""


def advise(advice: str) -> None:
    """State what a user can do if the running command is interrupted."""
    global _advice
    _advice = f"; {advice}"


def interrupted() -> str:
    """Return the line that an interrupted command prints."""
    return f"interrupted{_advice}"

"""The exit status of commands that are ended from outside, as a shell reports it."""

CLOSED_PIPE = 141  # 128 + SIGPIPE
INTERRUPTED = 130  # 128 + SIGINT

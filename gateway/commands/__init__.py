"""What each command does; a file is a command or a noun with its verbs.

None is imported before it is typed, so that help comes at once: `grammar.py` alone knows them all.
"""


class CommandError(Exception):
    """A command cannot be done; the text says why and what to do."""

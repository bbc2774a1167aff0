"""`python -m lesionlens` is the command `lesionlens`."""

from lesionlens.cli.main import program

program()

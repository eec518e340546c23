"""`python -m smallcoder` is the command `smallcoder`."""

from smallcoder.cli import main

main()

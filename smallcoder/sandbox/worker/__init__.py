"""The side of the sandbox that runs inside a slot: standard library only, loaded without the rest of smallcoder."""

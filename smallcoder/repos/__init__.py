"""A repository as a model should read it: its files, what they import of each other, and the order that follows."""

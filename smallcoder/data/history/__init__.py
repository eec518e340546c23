"""What people said of code and what they did to it: commits, issues, pull requests. One file a stage and a subject."""

"""Images drawn by a program, for the demo and for tests."""

"""What is asked: a level (where a label sits) times a label kind (what a label is)."""

"""Learners and their history: the one slice through which every door reads and changes accounts."""

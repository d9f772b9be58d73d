"""Learners and their history. JSON, CSV and the command line all read and change accounts here."""

"""Imports of rosters: CSV files whose rows create and change learners."""

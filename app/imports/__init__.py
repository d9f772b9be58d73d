"""The CSV door: rosters in, learners changed, a report out."""

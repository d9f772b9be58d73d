"""Work over many learners: recorded, done in chunks, and accounted for learner by learner."""

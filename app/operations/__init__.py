"""Operations: work on many learners, recorded, done in chunks, with an outcome for each learner."""

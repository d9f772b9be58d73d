"""The portal's door: whether a learner may enter."""

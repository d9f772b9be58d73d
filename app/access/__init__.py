"""The access checks of the portal: whether a learner may enter."""

"""The console: the page on which people manage learners, a client of our own API and of nothing else."""

"""The console: the page where people manage learners. It uses only our own API."""

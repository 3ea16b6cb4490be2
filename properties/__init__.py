"""The project's own tests, and the catalogue that the judge is examined on."""

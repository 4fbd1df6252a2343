"""A sweep file: read, checked against its experiment, and what it says to do."""

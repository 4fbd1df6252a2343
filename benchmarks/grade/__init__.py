"""Programs with silent errors: which of them grading finds."""

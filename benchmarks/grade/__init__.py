"""Tables that many runs leave behind: the frame, the bands, the page."""

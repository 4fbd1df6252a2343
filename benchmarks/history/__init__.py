"""Records of many runs as one frame."""

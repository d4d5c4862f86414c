"""What the chapters draw: a file a chapter, named as the notebook."""

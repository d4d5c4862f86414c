"""What is measured on networks, images and answers: one idea a file; nothing here draws, trains or records."""

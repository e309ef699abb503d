"""What is written besides the documents, and what each bulk answer means."""
